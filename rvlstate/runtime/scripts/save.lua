-- Compare and set the state. After the guard's: ARGV[3] expected serial ('' none yet, '*' any), ARGV[4] expected
-- lineage, ARGV[5] new serial, ARGV[6] new lineage, ARGV[7] payload, ARGV[8] checksum, ARGV[9] format, ARGV[10] version.
-- Replies {'written'}, {'same'}, {'lost'}, or {'moved', serial, lineage}.
if not holds_lease() then
  return {'lost'}
end
local stored = read(KEYS[1])
local serial, lineage = stored.serial or '', stored.lineage or ''
if stored.checksum == ARGV[8] and serial == ARGV[5] then -- the client sent again what had arrived
  return {'written'}
end
if ARGV[3] ~= '*' then
  if serial ~= ARGV[3] or lineage ~= ARGV[4] then
    return {'moved', serial, lineage}
  end
  if stored.payload == ARGV[7] then
    return {'same'}
  end
end
write(KEYS[1], {
  fence = stored.fence, serial = ARGV[5], lineage = ARGV[6], payload = ARGV[7], checksum = ARGV[8],
  format = ARGV[9], rvlstate_version = ARGV[10], written_at = now(),
})
return {'written'}
