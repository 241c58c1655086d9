-- Compare and set the state. After the guard's: ARGV[3] expected serial ('' none yet, '*' any), ARGV[4] expected
-- lineage, ARGV[5] new serial, ARGV[6] new lineage, ARGV[7] payload, ARGV[8] checksum, ARGV[9] format, ARGV[10] version.
-- Replies {'written'}, {'same'}, {'lost'}, or {'moved', serial, lineage}.
if not holds_lease() then
  return {'lost'}
end
local stored = redis.call('HMGET', KEYS[1], 'serial', 'lineage', 'payload', 'checksum')
for index = 1, 4 do
  stored[index] = stored[index] or ''
end
if stored[4] == ARGV[8] and stored[1] == ARGV[5] then -- the client sent again what had arrived
  return {'written'}
end
if ARGV[3] ~= '*' then
  if stored[1] ~= ARGV[3] or stored[2] ~= ARGV[4] then
    return {'moved', stored[1], stored[2]}
  end
  if stored[3] == ARGV[7] then
    return {'same'}
  end
end
redis.call('HSET', KEYS[1], 'serial', ARGV[5], 'lineage', ARGV[6], 'payload', ARGV[7], 'checksum', ARGV[8],
  'format', ARGV[9], 'rvlstate_version', ARGV[10], 'written_at', now())
redis.call('HDEL', KEYS[1], 'lost')
return {'written'}
