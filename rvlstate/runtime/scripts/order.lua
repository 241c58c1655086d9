-- Give an order to the run that holds the lock. KEYS control, lock, events; ARGV[1] order, ARGV[2] by whom,
-- ARGV[3] documents a second ('' for no limit), ARGV[4] for how many milliseconds orders are kept,
-- ARGV[5] run id, ARGV[6] how many events are kept, ARGV[7] operations that take no orders, as ',a,b,',
-- ARGV[8] id of this order, so that it counts once however often the client sends it.
-- Replies {'none'}, {'deaf', pttl, lock} or {'given', pttl, lock, orders before, orders now}.
local order, by = ARGV[1], ARGV[2]
local held = read(KEYS[2])
if not held or not held.id then
  return {'none'}
end
local expiry = redis.call('PTTL', KEYS[2])
if string.find(ARGV[7], ',' .. tostring(held.operation) .. ',', 1, true) then
  return {'deaf', expiry, cjson.encode(held)}
end
local orders = read(KEYS[1])
-- What was ordered to a run that has ended means nothing to the next one.
if not orders or orders.lock_id ~= held.id then
  orders = {lock_id = held.id, number = '0', obeyed = '0'}
end
local before = cjson.encode(orders)
-- A server whose memory is full judges a script by its first write, and lets this one pass: it must be stoppable.
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if orders.last == ARGV[8] then
  return {'given', expiry, cjson.encode(held), before, before}
end
if order == 'pause' and not orders.paused_by then
  orders.paused_by, orders.paused_at = by, now()
elseif order == 'resume' then
  orders.paused_by, orders.paused_at = nil, nil
elseif order == 'throttle' then
  orders.rate, orders.rate_by = ARGV[3], by
elseif order == 'abort' and not orders.abort_by then
  orders.abort_by = by
end
orders.last, orders.last_order, orders.last_by = ARGV[8], order, by
orders.number = string.format('%.0f', (tonumber(orders.number) or 0) + 1)
redis.call('SET', KEYS[1], cjson.encode(orders), 'PX', ARGV[4])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[6], '*', 'run', ARGV[5], 'event', 'order_' .. order, 'by', by,
  'rate', ARGV[3])
return {'given', expiry, cjson.encode(held), before, cjson.encode(orders)}
