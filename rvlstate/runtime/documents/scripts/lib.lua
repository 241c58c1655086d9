-- What every script of a pass shares. KEYS[1]: digests beside the documents of this slot; KEYS[2]: a key that exists
-- only within a script; ARGV[1]: the rewrite, as JSON. Positions count the identifiers of the rewrite from 1; `values`
-- holds the value at each, false where there is none.
local marks, scratch = KEYS[1], KEYS[2]
local spec = cjson.decode(ARGV[1])

-- One value is its own digest; of several, the digests are put together, not the values: those may be large.
local function digest(values, positions)
  local parts = {}
  for n, at in ipairs(positions) do parts[n] = values[at] and redis.sha1hex(values[at]) or '-' end
  return #parts == 1 and parts[1] or redis.sha1hex(table.concat(parts, ','))
end

-- The first 52 bits: a score is a double, which holds them exactly.
local function score(values, positions)
  return tonumber(string.sub(digest(values, positions), 1, 13), 16) or 0
end

local function any(values, positions)
  for _, at in ipairs(positions) do
    if values[at] then return true end
  end
  return false
end

local function all(values, positions)
  for _, at in ipairs(positions) do
    if not values[at] then return false end
  end
  return true
end

local function type_of(key)
  return redis.call('TYPE', key).ok
end
