-- Note that a step began or ended. KEYS run, events; ARGV[1] run id, ARGV[2] step id, ARGV[3] result,
-- ARGV[4] how many events are kept, then field, value, ... of the step.
-- Replies 0 when the run's report is gone: half of one would be worse than none.
local run, step, result = KEYS[1], ':' .. ARGV[2], ARGV[3]
pass_full_memory(run)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'run', ARGV[1], 'event', 'step_' .. result, 'step', ARGV[2],
  unpack(ARGV, 5))
local report = read(run)
if not report then
  return 0
end
if not report['order' .. step] then
  report.steps_seen = string.format('%.0f', (tonumber(report.steps_seen) or 0) + 1)
  report['order' .. step], report['started' .. step] = report.steps_seen, now()
end
if result == 'running' then
  report['started' .. step], report['finished' .. step] = now(), nil
else
  report['finished' .. step] = now()
end
if result == 'done' and report['result' .. step] ~= 'done' then
  report.steps_done = string.format('%.0f', (tonumber(report.steps_done) or 0) + 1)
end
report['result' .. step] = result
write(run, take_arguments(report, 5, step))
return 1
