-- Note how far a step is. KEYS run, events; ARGV[1] run id, ARGV[2] step id, ARGV[3] progress as JSON,
-- ARGV[4] how many events are kept, ARGV[5] '1' if the stream is told too, then field, value, ... of the event.
-- Replies 0 when the run's report is gone.
if ARGV[5] == '1' then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'run', ARGV[1], 'event', 'step_progressed',
    'step', ARGV[2], unpack(ARGV, 6))
end
local report = read(KEYS[1])
if not report then
  return 0
end
report['progress:' .. ARGV[2]] = ARGV[3]
write(KEYS[1], report)
return 1
