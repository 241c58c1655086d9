-- Brings documents into the desired layout, each only if it is still what was read.
-- KEYS[3..]: documents, and behind them their new keys if ARGV[2] is 1.
-- ARGV[3..]: for each document the digest of what was read ("": it is watched, and was not touched), its states (see
-- read.lua), and the values that are to be written, in the order of the fields.
-- Replies for each: 1 written, 0 it changed meanwhile, -1 gone, -2 something is at the new key, 10 + n: field n has no
-- place in this JSON document.
local function write(key, dest, seen, states, new)
  local kind = type_of(key)
  if kind == 'none' then return -1 end
  local values = accepts(kind) and is_as_read(key, kind, seen)
  if not values then return 0 end
  local moves = dest and string.sub(states, #spec.fields + 1) == '1'
  if moves and redis.call('EXISTS', dest) == 1 then return -2 end
  local answer = 1
  for n, field in ipairs(spec.fields) do
    if string.sub(states, n, n) ~= '0' and not write_field(n, field, key, moves and dest or key, values, new[n]) then
      answer = misfit(n)
      new[n] = nil
    end
  end
  for n, field in ipairs(spec.fields) do
    if new[n] then note_field(n, field, moves and dest or key, values) end
  end
  if moves then
    redis.call('RENAME', key, dest)
    if spec.chained then redis.call('ZADD', marks, 1, 'm' .. dest) end
  end
  return answer
end

local moving = ARGV[2] == '1'
local count = moving and (#KEYS - 2) / 2 or #KEYS - 2
local replies = {}
for at = 1, count do
  local seen, states, new = take_row()
  replies[at] = write(KEYS[at + 2], moving and KEYS[at + 2 + count], seen, states, new)
end
return replies
