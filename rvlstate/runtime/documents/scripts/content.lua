-- What scripts about staged copies share. KEYS[3..]: documents, and behind them as many copies. ARGV[2]: stage, promote
-- or retire, or drop (for documents that are to have no copy); promote may be followed by a colon and the id of the
-- process in which alone copies are renamed.
-- Marks: 's' and the key of a document: the content that its copy was made from, below zero once the document holds what
-- its copy does; 'p' and the key: the content that its copy under a new prefix got from us.
-- Replies for each: 0 nothing to do, 1 written, 2 gone, 3 of another type, 4 it has fields that expire, which JSON has
-- not, 5 promoted, 6 somebody's document is at its new key, 7 it changed meanwhile, 8 it is to have no copy, 9 it is
-- itself under its new prefix, 20 + n: field n has no place in this JSON document, 500 + n: of field n there is an old
-- value and another new one; 1000 more if a copy was removed, 2000 more if both values of a field were left.
local NOTHING, WRITTEN, GONE, FOREIGN, EXPIRING, PROMOTED, TAKEN, MOVED_ON, EXCLUDED = 0, 1, 2, 3, 4, 5, 6, 7, 8
local PLACED, NO_PLACE, BOTH, DROPPED, AMBIGUOUS = 9, 10, 500, 1000, 2000
local AT_ONCE = 1000
local mode, process = string.match(ARGV[2], '^(%l+):?(.*)$')
local moved = spec.promotion == 'new_prefix'

local function field_expiries(key, names)
  if #names <= AT_ONCE then return redis.call('HPEXPIRETIME', key, 'FIELDS', #names, unpack(names)) end
  local found = {}
  for from = 1, #names, AT_ONCE do
    local some = {unpack(names, from, math.min(from + AT_ONCE - 1, #names))}
    found[#found + 1] = redis.call('HPEXPIRETIME', key, 'FIELDS', #some, unpack(some))
  end
  return found
end

-- All that a key holds and when it expires, in 52 bits. The fields of a hash are sorted: a server that was restarted
-- tells them in another order.
local function content(key)
  local expiry, packed = redis.call('PEXPIRETIME', key), nil
  if type_of(key) ~= 'hash' then
    packed = redis.call('JSON.GET', key) .. expiry
  else
    local flat, names, value_of, values = redis.call('HGETALL', key), {}, {}, {}
    for n = 1, #flat, 2 do
      names[#names + 1] = flat[n]
      value_of[flat[n]] = flat[n + 1]
    end
    table.sort(names)
    for n, name in ipairs(names) do values[n] = value_of[name] end
    packed = cmsgpack.pack(names, values, expiry, spec.field_expiry and field_expiries(key, names) or 0)
  end
  return tonumber(string.sub(redis.sha1hex(packed), 1, 13), 16)
end

local function noted(sign, key)
  local score = redis.call('ZSCORE', marks, sign .. key)
  return score and tonumber(score)
end

local function note_content(sign, key, number)
  redis.call('ZADD', marks, string.format('%.0f', number), sign .. key)
end

-- none, ours, or under a new prefix: newer (somebody wrote to it since), or theirs (it never was ours).
local function whose(key, copy)
  if redis.call('EXISTS', copy) == 0 then return 'none' end
  if not moved then return 'ours' end
  local made = noted('p', key)
  if not made then return 'theirs' end
  return made == content(copy) and 'ours' or 'newer'
end

-- There is to be no copy: one that is ours goes, and what was noted about it.
local function drop(key, copy)
  local ours = not moved or whose(key, copy) == 'ours'
  local dropped = ours and redis.call('UNLINK', copy) or 0
  redis.call('ZREM', marks, 's' .. key, 'p' .. key)
  if spec.chained and ours then redis.call('ZREM', marks, 'm' .. copy) end
  return dropped * DROPPED
end

-- The document holds what the copy is to hold.
local function copy_as_it_is(key, copy)
  redis.call('COPY', key, copy, 'REPLACE')
  note_content('s', key, -content(key))
end

local function for_each(work)
  local count, replies = (#KEYS - 2) / 2, {}
  for at = 1, count do replies[at] = work(KEYS[at + 2], KEYS[at + 2 + count]) end
  return replies
end
