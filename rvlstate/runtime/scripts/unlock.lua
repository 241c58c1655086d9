-- Take the lock away from its holder. KEYS lock; ARGV[1] lock id.
-- Replies {'none'}, or {'removed' or 'other', pttl, {field, value, ...}}.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'none'}
end
local held = {'other', redis.call('PTTL', KEYS[1]), redis.call('HGETALL', KEYS[1])}
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  redis.call('DEL', KEYS[1])
  held[1] = 'removed'
end
return held
