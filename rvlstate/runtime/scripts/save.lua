-- Compare and set the state. After the guard's: KEYS[3] state; ARGV[3] expected serial ('' none yet, '*' any),
-- ARGV[4] expected lineage, ARGV[5] new serial, ARGV[6] new lineage, ARGV[7] payload, ARGV[8] checksum, ARGV[9] format,
-- ARGV[10] version. Replies {'written'}, {'same'}, {'lost'}, or {'moved', serial, lineage}.
-- The state is one line of JSON about the payload, then the payload, which is long and is not decoded here.
if not holds_lease() then
  return {'lost'}
end
local text = redis.call('GET', KEYS[3]) or '{}'
local line = string.match(text, '^[^\n]*')
local ok, stored = pcall(cjson.decode, line)
if not ok or type(stored) ~= 'table' then
  stored = {}
end
local serial, lineage = stored.serial or '', stored.lineage or ''
if stored.checksum == ARGV[8] and serial == ARGV[5] then -- the client sent again what had arrived
  return {'written'}
end
if ARGV[3] ~= '*' then
  if serial ~= ARGV[3] or lineage ~= ARGV[4] then
    return {'moved', serial, lineage}
  end
  if string.sub(text, #line + 2) == ARGV[7] then
    return {'same'}
  end
end
local head = cjson.encode({
  serial = ARGV[5], lineage = ARGV[6], checksum = ARGV[8], format = ARGV[9], rvlstate_version = ARGV[10],
  written_at = now(),
})
pass_full_memory(KEYS[3])
redis.call('SET', KEYS[3], head .. '\n' .. ARGV[7])
return {'written'}
