-- Documents that are hashes: values are those of fields.
local function accepts(kind)
  return kind == 'hash'
end

local function load(key)
  return #spec.ids > 0 and redis.call('HMGET', key, unpack(spec.ids)) or {}
end

local function guarded()
  return spec.sent
end

local function fits(_, field, values)
  local value = values[field.target]
  return value and #value == field.length
end

-- HSET takes a field's expiry away; it is put back, and a renamed field takes that of the old one along.
local function put(key, field, _, value)
  local expiry = -1
  if spec.field_expiry then
    expiry = (redis.call('HPEXPIRETIME', key, 'FIELDS', 1, spec.ids[field.expiry]) or {-1})[1]
    -- It has expired since it was read, which touches no key.
    if expiry == -2 and field.own then return nil end
  end
  redis.call('HSET', key, spec.ids[field.target], value)
  if expiry > 0 then
    redis.call('HPEXPIREAT', key, expiry, 'FIELDS', 1, spec.ids[field.target])
  end
  return value
end

local function misfit()
  return 0
end

local function remove(key, at)
  redis.call('HDEL', key, spec.ids[at])
end
