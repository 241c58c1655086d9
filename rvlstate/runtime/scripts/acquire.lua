-- Take the lock if it is free. KEYS lock, state, history; ARGV[1] lock id, ARGV[2] lease in milliseconds,
-- then field, value, ... about the holder. Replies {'ours', token} or {'held', pttl, {field, value, ...}}.
local lock, state, history = KEYS[1], KEYS[2], KEYS[3]
if redis.call('HGET', lock, 'id') == ARGV[1] then -- the client sent again what had arrived
  redis.call('PEXPIRE', lock, ARGV[2])
  return {'ours', redis.call('HGET', lock, 'token')}
end
if redis.call('EXISTS', lock) == 1 then
  return {'held', redis.call('PTTL', lock), redis.call('HGETALL', lock)}
end

-- Runs are recorded under the lock, and taking it writes the state: a history without a state was robbed of it.
-- The mark outlives the fence that is about to be written, which would hide the loss.
if redis.call('EXISTS', state) == 0 and redis.call('EXISTS', history) == 1 then
  redis.call('HSET', state, 'lost', 1)
end
local token = redis.pcall('HINCRBY', state, 'fence', 1)
if type(token) == 'table' then
  if not string.find(token.err, 'integer') and not string.find(token.err, 'overflow') then
    return token
  end
  token = 1 -- the fence was edited by hand; for once the lock id alone tells holders apart
  redis.call('HSET', state, 'fence', token)
end
token = string.format('%.0f', token)

local since = now()
redis.call('HSET', lock, 'id', ARGV[1], 'token', token, 'since', since, 'renewed', since, 'lease', ARGV[2],
  unpack(ARGV, 3))
redis.call('PEXPIRE', lock, ARGV[2])
return {'ours', token}
