-- Which of the documents KEYS[2..] are gone although copies of them were made. KEYS[1]: marks of the slot; ARGV[1]: 1 if
-- a key is a copy of ours only with a mark. Replies with their numbers, from 1.
local gone = {}
for at = 2, #KEYS do
  local ours = ARGV[1] ~= '1' or redis.call('ZSCORE', KEYS[1], 'p' .. KEYS[at])
  if ours and redis.call('EXISTS', KEYS[at]) == 0 then gone[#gone + 1] = at - 1 end
end
return gone
