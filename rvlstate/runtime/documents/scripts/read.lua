-- What is to be done to documents, and the values that are needed for it.
-- KEYS[3..]: documents. ARGV[2]: for each of them 1 if its prefix is an old one, else 0; "" if no prefix changes.
-- Replies for each: -1 gone, -2 of another type, -3 it has fields that expire, which JSON has not, 0 nothing to do, or
-- the states and then the values that are guarded. A state: 0 nothing to do, 1 to be computed (and what it removes
-- removed), 2 only to be removed. With prefixes there is one more: 1 to be moved.
local function is_ours(n, key, values, positions, sign)
  local noted = redis.call('ZSCORE', marks, n .. sign .. key)
  return noted and tonumber(noted) == score(values, positions)
end

local function is_done(n, field, key, kind, values)
  if field.layout == 'type' then return kind == spec.to end
  if field.layout == 'length' then return fits(key, field, values) end
  if field.layout == 'marker' then return is_ours(n, key, values, field.cover, '>') end
  if not values[field.target] then return false end
  -- presence: what somebody else wrote stays; what we wrote is done while its inputs are what it was made from.
  return not field.noted
    or not is_ours(n, key, values, field.cover, '>')
    or is_ours(n, key, values, field.reads, '<')
end

local function state(n, field, key, kind, values)
  local leftover = any(values, field.removes)
  if field.layout == 'absence' then
    if not leftover then return 0 end
    if not field.target then return 2 end
    if values[field.target] and not is_ours(n, key, values, field.cover, '>') then return 2 end
  elseif is_done(n, field, key, kind, values) then
    return leftover and 2 or 0
  end
  if #field.reads > 0 and not any(values, field.reads) then return 0 end
  return 1
end

local function look(at)
  local key = KEYS[at + 2]
  local kind = type_of(key)
  if kind == 'none' then return -1 end
  if not accepts(kind) then return -2 end
  local values = load(key, kind)
  if not values then return -3 end
  local states, todo = {}, false
  for n, field in ipairs(spec.fields) do
    states[n] = state(n, field, key, kind, values)
    todo = todo or states[n] > 0
  end
  if ARGV[2] ~= '' then
    local moves = string.sub(ARGV[2], at, at) == '1' and not redis.call('ZSCORE', marks, 'm' .. key)
    states[#states + 1] = moves and 1 or 0
    todo = todo or moves
  end
  if not todo then return 0 end
  local reply = {table.concat(states)}
  for n, position in ipairs(guarded(values)) do reply[n + 1] = values[position] end
  return reply
end

local replies = {}
for at = 1, #KEYS - 2 do replies[at] = look(at) end
return replies
