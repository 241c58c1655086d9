-- Documents that are JSON: values are what JSON.GET tells of a path, the text of an array of all that is there.
local function accepts(kind)
  return kind == 'ReJSON-RL'
end

local function load(key)
  local values = {}
  for n, path in ipairs(spec.ids) do values[n] = get(key, path) end
  return values
end

local function guarded()
  return spec.sent
end

local function fits(key, field, values)
  if not values[field.target] then return false end
  for _, length in ipairs(redis.call('JSON.ARRLEN', key, spec.ids[field.target])) do
    if length ~= field.length then return false end
  end
  return true
end

-- The objects above a path that are missing; nil where something else is in the way.
local function missing_parents(key, field)
  local missing = {}
  for _, path in ipairs(field.parents) do
    if #missing > 0 or not get(key, path) then
      missing[#missing + 1] = path
    elseif redis.call('JSON.TYPE', key, path)[1] ~= 'object' then
      return nil
    end
  end
  return missing
end

local function put_each(key, path, texts)
  local found = places(key, path)
  if #found ~= #texts then return nil end
  for n, place in ipairs(found) do redis.call('JSON.SET', key, place, texts[n]) end
  return get(key, path)
end

-- `value` is the text of one JSON value; for a path with [*] that of an array of such texts, one for each place.
local function put(key, field, values, value)
  local path = spec.ids[field.target]
  if field.many then return put_each(key, path, cjson.decode(value)) end
  if not values[field.target] then
    local missing = missing_parents(key, field)
    if not missing then return nil end
    for _, parent in ipairs(missing) do redis.call('JSON.SET', key, parent, '{}') end
  end
  redis.call('JSON.SET', key, path, value)
  return get(key, path)
end

local function misfit(n)
  return 10 + n
end

local function remove(key, at)
  redis.call('JSON.DEL', key, spec.ids[at])
end
