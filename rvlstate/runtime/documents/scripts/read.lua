-- What is to be done to documents, and the values that are needed for it.
-- KEYS[3..]: documents. ARGV[2]: for each of them 1 if its prefix is an old one, else 0; "" if no prefix changes.
-- Replies for each: -1 gone, -2 of another type, -3 it has fields that expire, which JSON has not, 0 nothing to do, or
-- the states and then the values that are guarded. A state: 0 nothing to do, 1 to be computed (and what it removes
-- removed), 2 only to be removed, 3 there is an old value and another new one, and nothing tells which is meant. With prefixes there is one more: 1 to be moved.
local function look(at)
  local key = KEYS[at + 2]
  local kind = type_of(key)
  if kind == 'none' then return -1 end
  if not accepts(kind) then return -2 end
  local values = load(key, kind)
  if not values then return -3 end
  local states, todo = states_of(key, kind, values)
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
