-- Removes the keys KEYS[1..]; replies how many there were.
local removed = 0
for _, key in ipairs(KEYS) do removed = removed + redis.call('UNLINK', key) end
return removed
