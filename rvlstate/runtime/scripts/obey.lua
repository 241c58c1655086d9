-- Note which order the run obeyed last, or remove its orders. KEYS control; ARGV[1] lock id, ARGV[2] number of the
-- order ('' when the run ends), ARGV[3] for how many milliseconds orders are kept. Replies 0 for orders of others.
local orders = read(KEYS[1])
if not orders or orders.lock_id ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  return redis.call('DEL', KEYS[1])
end
-- First a write that a server whose memory is full lets pass.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
orders.obeyed = ARGV[2]
redis.call('SET', KEYS[1], cjson.encode(orders), 'PX', ARGV[3])
return 1
