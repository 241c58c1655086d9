-- Puts the original values of documents back, each only if it holds exactly what was written over them.
-- KEYS[1]: notes about documents of this slot. KEYS[2..]: documents as they are named now, and behind them, if ARGV[5]
-- is 1, as many names from before.
-- ARGV[1..6]: what to do (look: tell values, try: tell statuses, put: restore); what is noted (p: which row was applied
-- last, s: statuses); hash, json, was_hash or was_json (the last two: whole documents of that type); number of this
-- attempt; 1 if keys changed; number of the newest segment of the backup.
-- ARGV[7..]: how many shapes, and for each its name, how many identifiers, those, for each the position of the one whose
-- expiry it takes, and for each 1 if it stands for several places.
-- Then for each document its number (the newer, the larger), how many rows it has, and for each row: its shape, the
-- digest of what was written, how many values each identifier had, with commas (0: was not there), and these values.
-- was_hash: field and value in turn. was_json: the text, then the names of the fields that the hash has now, sorted.
-- For a look the shape is all.
-- Replies for each: ten times the status it had within this attempt (0: none) plus the status that it has: 1 as before
-- already, 2 restored, 3 written since, 4 gone.
local AS_BEFORE, RESTORED, NEWER, GONE = 1, 2, 3, 4
local notes, doing, kind, attempt = KEYS[1], ARGV[1], ARGV[3], tonumber(ARGV[4])
local moving = ARGV[5] == '1'
local progress, statuses = string.find(ARGV[2], 'p', 1, true), string.find(ARGV[2], 's', 1, true)
local NOTES_KEPT_SECONDS = 2592000
local arg = 7

local function take()
  arg = arg + 1
  return ARGV[arg - 1]
end

local function take_many(count, convert)
  local taken = {}
  for n = 1, count do
    local value = take()
    taken[n] = convert and convert(value) or value
  end
  return taken
end

local shapes = {}
for n = 1, tonumber(take()) do
  local name, width = take(), tonumber(take())
  shapes[n] = {
    name = name, width = width, ids = take_many(width), sources = take_many(width, tonumber), many = take_many(width),
  }
end

local function digest(values, count)
  local parts = {}
  for n = 1, count do parts[n] = values[n] and (#values[n] .. ':' .. values[n]) or '-' end
  return redis.sha1hex(table.concat(parts))
end

local function type_of(key)
  return redis.call('TYPE', key).ok
end

-- Some fields of a hash.
local hash = {types = {hash = true}}

function hash.present(key, shape)
  return shape.width > 0 and redis.call('HMGET', key, unpack(shape.ids)) or {}
end

function hash.was(row, n)
  return row[n][1] or false
end

local function expiry(key, field)
  local reply = redis.pcall('HPEXPIRETIME', key, 'FIELDS', 1, field)
  return not reply.err and reply[1] or -1  -- servers before 7.4 have no such command, and no such expiry
end

function hash.put(key, shape, values, row)
  for n = 1, shape.width do
    local value = row[n][1]
    if value and value ~= values[n] then
      local at = expiry(key, shape.ids[shape.sources[n]])
      redis.call('HSET', key, shape.ids[n], value)
      if at > 0 then redis.call('HPEXPIREAT', key, at, 'FIELDS', 1, shape.ids[n]) end
    end
  end
  for n = 1, shape.width do
    if values[n] and not row[n][1] then redis.call('HDEL', key, shape.ids[n]) end
  end
  return true
end

-- Some paths of a JSON document: their values are what JSON.GET tells, the text of an array of all that is there.
local json = {types = {['ReJSON-RL'] = true}}

function json.present(key, shape)
  local values = {}
  for n, path in ipairs(shape.ids) do values[n] = get(key, path) end
  return values
end

function json.was(row, n)
  return #row[n] > 0 and '[' .. table.concat(row[n], ',') .. ']' or false
end

local function set_path(key, path, value)
  local function set()
    local reply = redis.pcall('JSON.SET', key, path, value)
    return type(reply) == 'table' and not reply.err
  end
  if set() then return true end
  -- The objects above it are missing; what the cuts make of quoted names is refused and does no harm.
  local at = string.find(path, '[.%[]', 3)
  while at do
    local parent = string.sub(path, 1, at - 1)
    if redis.pcall('JSON.GET', key, parent) == '[]' then redis.pcall('JSON.SET', key, parent, '{}') end
    at = string.find(path, '[.%[]', at + 1)
  end
  return set()
end

function json.put(key, shape, values, row)
  local found = {}
  for n, path in ipairs(shape.ids) do
    if #row[n] > 0 and json.was(row, n) ~= values[n] then
      found[n] = shape.many[n] == '1' and places(key, path) or {path}
      if #found[n] ~= #row[n] then return false end
    end
  end
  for n = 1, shape.width do
    for at, path in ipairs(found[n] or {}) do
      if not set_path(key, path, row[n][at]) then return false end
    end
  end
  for n, path in ipairs(shape.ids) do
    if values[n] and #row[n] == 0 then redis.call('JSON.DEL', key, path) end
  end
  return true
end

-- Fields or paths: alike but for how they are told and put.
local function part(of)
  function of.is_written(_, shape, values, row) return digest(values, shape.width) == row.written end
  function of.is_original(_, shape, values, row)
    for n = 1, shape.width do
      if values[n] ~= of.was(row, n) then return false end
    end
    return true
  end
  return of
end

-- Whole documents, which are of the other type now.
local both = {hash = true, ['ReJSON-RL'] = true}
local was_hash, was_json = {types = both}, {types = both}

local function whole(key)
  if type_of(key) == 'hash' then return redis.call('HGETALL', key) end
  return {redis.call('JSON.GET', key)}
end

was_hash.present, was_json.present = whole, whole

local function by_name(flat)
  local found, count = {}, 0
  for n = 1, #flat, 2 do
    found[flat[n]] = flat[n + 1]
    count = count + 1
  end
  return found, count
end

function was_hash.is_written(key, _, values, row)
  return type_of(key) ~= 'hash' and digest(values, 1) == row.written
end

function was_hash.is_original(key, _, values, row)
  if type_of(key) ~= 'hash' then return false end
  local found, count = by_name(values)
  for n = 1, #row[1], 2 do
    if found[row[1][n]] ~= row[1][n + 1] then return false end
  end
  return count == #row[1] / 2
end

function was_hash.put(key, _, _, row)
  local at = redis.call('PEXPIRETIME', key)
  redis.call('DEL', key)
  for n = 1, #row[1], 2 do redis.call('HSET', key, row[1][n], row[1][n + 1]) end
  if at > 0 then redis.call('PEXPIREAT', key, at) end
  return true
end

function was_json.is_written(key, _, values, row)
  if type_of(key) ~= 'hash' then return false end
  local found, count = by_name(values)
  local sorted = {}
  for n = 2, #row[1] do sorted[n - 1] = found[row[1][n]] or false end
  return count == #row[1] - 1 and digest(sorted, count) == row.written
end

function was_json.is_original(key, _, values, row)
  return type_of(key) ~= 'hash' and values[1] == row[1][1]
end

function was_json.put(key, _, _, row)
  local at = redis.call('PEXPIRETIME', key)
  redis.call('DEL', key)
  redis.call('JSON.SET', key, '$', row[1][1])
  if at > 0 then redis.call('PEXPIREAT', key, at) end
  return true
end

local how = ({hash = part(hash), json = part(json), was_hash = was_hash, was_json = was_json})[kind]

-- The key that the document has, and whether it has to get its old one back.
local function found_at(now, before)
  if not before or before == now then return now, false end
  if redis.call('EXISTS', now) == 0 then return before, false end
  return now, true
end

local function noted(name)
  return tonumber(redis.call('ZSCORE', notes, name) or nil)
end

local function note(name, number)
  redis.call('ZADD', notes, string.format('%.0f', number), name)
end

-- What a row is for its document: RESTORED stands for "to be put back".
local function judge(key, name, moved, row)
  local shape = shapes[row.shape]
  local applied = progress and noted('p' .. shape.name .. name)
  if applied and applied <= row.number then return AS_BEFORE end
  local values = how.present(key, shape)
  if how.is_original(key, shape, values, row) then return moved and RESTORED or AS_BEFORE end
  return how.is_written(key, shape, values, row) and RESTORED or NEWER
end

local function put_back(key, name, row)
  local shape = shapes[row.shape]
  local values = how.present(key, shape)
  if not how.is_original(key, shape, values, row) and not how.put(key, shape, values, row) then return NEWER end
  if progress then note('p' .. shape.name .. name, row.number) end
  return RESTORED
end

local function judge_all(key, name, moved, before, rows)
  local found, stays = {}, moved and redis.call('EXISTS', before) == 1
  local fits = how.types[type_of(key)]
  for n, row in ipairs(rows) do
    found[n] = (stays or not fits) and NEWER or judge(key, name, moved, row)
    if moved and found[n] == NEWER then stays = true end
  end
  for n in ipairs(rows) do
    if stays then found[n] = NEWER end
  end
  return found
end

-- The statuses of the rows of one document; they are put back where that is due.
local function restore(now, before, rows)
  local key, moved = found_at(now, before)
  local name = before or now
  if redis.call('EXISTS', key) == 0 then return nil end
  local found = judge_all(key, name, moved, before, rows)
  if doing == 'try' then return found end
  local renames = moved
  for n, row in ipairs(rows) do
    if found[n] == RESTORED then found[n] = put_back(key, name, row) end
    if found[n] == NEWER then renames = false end
  end
  if renames then redis.call('RENAME', key, before) end
  return found
end

-- A status within this attempt that was noted under a name; nil if there is none.
local function status_of(name)
  local number = noted(name)
  return number and math.floor(number / 8) == attempt and number % 8 or nil
end

-- A document may come in several rows and frames, the newest first: a row that was put back counts, else the mildest.
local function merged(name, row, status)
  local shape = shapes[row.shape]
  local earlier = status_of('s' .. shape.name .. name)
  if earlier and status ~= RESTORED then status = earlier == RESTORED and RESTORED or math.min(earlier, status) end
  if statuses or earlier then note('s' .. shape.name .. name, attempt * 8 + status) end
  return status
end

local function tell(now, before, rows)
  local found = restore(now, before, rows)
  if doing == 'try' then
    return found and math.max(unpack(found)) or GONE
  end
  local name = before or now
  local last, status, own = status_of('d' .. name) or 0, found and 0 or GONE, {}
  for n, row in ipairs(found and rows or {}) do
    own[row.shape] = true
    status = math.max(status, merged(name, row, found[n]))
  end
  for n, shape in ipairs(last > 0 and shapes or {}) do
    if not own[n] and found then status = math.max(status, status_of('s' .. shape.name .. name) or 0) end
  end
  if (statuses or last > 0) and status ~= last then note('d' .. name, attempt * 8 + status) end
  return last * 10 + status
end

local function look(now, before, rows)
  local key = found_at(now, before)
  local kind_of_key = type_of(key)
  local reply = {kind_of_key}
  for n, row in ipairs(rows) do
    reply[n + 1] = how.types[kind_of_key] and how.present(key, shapes[row.shape]) or {}
  end
  return reply
end

local function take_row(number)
  local row = {number = number, shape = tonumber(take())}
  if doing == 'look' then return row end
  row.written = take()
  for count in string.gmatch(take(), '%d+') do row[#row + 1] = take_many(tonumber(count)) end
  return row
end

if doing == 'put' and ARGV[2] ~= '' and redis.call('ZSCORE', notes, 't') ~= ARGV[6] then
  -- Rows were added since: what was noted is about an earlier rollback, after which the change was carried out again.
  redis.call('DEL', notes)
  redis.call('ZADD', notes, ARGV[6], 't')
  redis.call('EXPIRE', notes, NOTES_KEPT_SECONDS)
end
local count = moving and (#KEYS - 1) / 2 or #KEYS - 1
local replies = {}
for at = 1, count do
  local rows, number = {}, tonumber(take())
  for n = 1, tonumber(take()) do rows[n] = take_row(number) end
  local now, before = KEYS[at + 1], moving and KEYS[at + 1 + count] or nil
  replies[at] = doing == 'look' and look(now, before, rows) or tell(now, before, rows)
end
return replies
