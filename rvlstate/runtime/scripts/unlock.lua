-- Take the lock away from its holder. KEYS lock; ARGV[1] lock id.
-- Replies {'none'}, or {'removed' or 'other', pttl, record}.
local held = read(KEYS[1])
if not held then
  return {'none'}
end
local expiry = redis.call('PTTL', KEYS[1])
if held.id ~= ARGV[1] then
  return {'other', expiry, cjson.encode(held)}
end
redis.call('DEL', KEYS[1])
return {'removed', expiry, cjson.encode(held)}
