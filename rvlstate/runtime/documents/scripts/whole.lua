-- Documents that turn from hashes into JSON or back: values are all that there is, fields of a hash in sorted order.
local function accepts(kind)
  return kind == spec.from or kind == spec.to
end

local function load(key, kind)
  if kind == spec.to then return {} end
  if kind ~= 'hash' then return {redis.call('JSON.GET', key)} end
  local names, values = redis.call('HKEYS', key), {}
  table.sort(names)
  for n, value in ipairs(redis.call('HMGET', key, unpack(names))) do
    values[2 * n - 1] = names[n]
    values[2 * n] = value
  end
  if spec.field_expiry then
    for _, expiry in ipairs(redis.call('HPEXPIRETIME', key, 'FIELDS', #names, unpack(names))) do
      if expiry > 0 then return nil end
    end
  end
  return values
end

local function guarded(values)
  local positions = {}
  for at = 1, #values do positions[at] = at end
  return positions
end

local function fits()
  return false
end

local function parts_of(text)
  local parts, at = {}, 1
  while at <= #text do
    local colon = string.find(text, ':', at, true)
    local length = tonumber(string.sub(text, at, colon - 1))
    parts[#parts + 1] = string.sub(text, colon + 1, colon + length)
    at = colon + length + 1
  end
  return parts
end

-- `value` is the text of the JSON document, or the fields and values of the hash, each behind its length and a colon.
-- It is made beside the document and then takes its place: what fails half-way has changed nothing.
local function put(key, _, _, value)
  local expiry = redis.call('PEXPIRETIME', key)
  redis.call('DEL', scratch)
  if spec.to == 'hash' then
    redis.call('HSET', scratch, unpack(parts_of(value)))
  else
    redis.call('JSON.SET', scratch, '$', value)
  end
  if expiry > 0 then redis.call('PEXPIREAT', scratch, expiry) end
  redis.call('RENAME', scratch, key)
  return value
end

local function misfit(n)
  return 10 + n
end

local function remove()
end
