-- Paths of JSON documents.
local function get(key, path)
  local text = redis.call('JSON.GET', key, path)
  return text ~= '[]' and text
end

-- All places that a path with [*] stands for, in the order in which JSON.GET tells them.
local function places(key, path)
  local from, to = string.find(path, '[*]', 1, true)
  if not from then return get(key, path) and {path} or {} end
  local found, head = {}, string.sub(path, 1, from - 1)
  for at = 0, (redis.call('JSON.ARRLEN', key, head)[1] or 0) - 1 do
    for _, place in ipairs(places(key, head .. '[' .. at .. ']' .. string.sub(path, to + 1))) do
      found[#found + 1] = place
    end
  end
  return found
end
