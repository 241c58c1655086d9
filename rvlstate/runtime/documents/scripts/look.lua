-- What is to be done about documents and their staged copies. What needs no transform is done at once; for the rest the
-- reply is a list: the states of the fields (see read.lua) and a 1, then the values that are guarded.

-- The copy was made from exactly what the document holds; nil if it is gone.
local function settle(key, copy, mark)
  if moved and mode == 'promote' then return NOTHING end
  if moved and mode == 'retire' then
    redis.call('UNLINK', key)
    redis.call('ZREM', marks, 's' .. key, 'p' .. key)
    return PROMOTED
  end
  if redis.call('EXISTS', copy) == 0 then return nil end
  if mode == 'stage' or mark < 0 then return NOTHING end
  if spec.promotion == 'rename' then
    redis.call('RENAME', copy, key)
    redis.call('ZREM', marks, 's' .. key)
  else
    redis.call('COPY', copy, key, 'REPLACE')
    note_content('s', key, -content(key))
  end
  return PROMOTED
end

-- A document that is in the desired layout, or whose copy somebody else wrote to; nil if a copy is to be made.
local function without_transform(key, copy, todo)
  if moved then
    local owner = whose(key, copy)
    if owner == 'theirs' and mode == 'stage' then return TAKEN end
    if owner ~= 'newer' and owner ~= 'theirs' then return nil end
    note_content('s', key, content(key))
    return NOTHING
  end
  if todo then return nil end
  if spec.promotion == 'rename' then return NOTHING + drop(key, copy) end
  copy_as_it_is(key, copy)
  return WRITTEN
end

-- The first field of which nothing tells whether its old value or its new one is meant.
local function ambiguous(states)
  for n, state in ipairs(states) do
    if state == 3 then return n end
  end
end

-- Before the cutover nobody writes the new layout, so that such a document is a question to the user; from then on both
-- values are left: the new one is answered with, and the old one is not lost.
local function has_others(states)
  for _, state in ipairs(states) do
    if state == 1 or state == 2 then return true end
  end
  return false
end

local function told(states, values)
  local reply = {table.concat(states) .. '1'}
  for n, position in ipairs(guarded(values)) do reply[n + 1] = values[position] end
  return reply
end

local function look(key, copy)
  local kind = type_of(key)
  if kind == 'none' then return GONE + drop(key, copy) end
  if mode == 'drop' then return EXCLUDED + drop(key, copy) end
  if not accepts(kind) then return FOREIGN + drop(key, copy) end
  if spec.chained and noted('m', key) then return PLACED end
  local mark = noted('s', key)
  local settled = mark and math.abs(mark) == content(key) and settle(key, copy, mark)
  if settled then return settled end
  local values = load(key, kind)
  if not values then return EXPIRING + drop(key, copy) end
  copied = mark and mark >= 0
  local states, todo = states_of(key, kind, values)
  local both = ambiguous(states)
  if both and mode == 'stage' then return BOTH + both + drop(key, copy) end
  if both then todo = has_others(states) end
  local answer = without_transform(key, copy, todo)
  if not answer then return told(states, values) end
  return both and answer + AMBIGUOUS or answer
end

-- In another process than the one that was looked at, the index may be being scanned.
if process ~= '' and not string.find(redis.call('INFO', 'server'), process, 1, true) then
  return redis.error_reply('SCANNED the server was started anew')
end
return for_each(look)
