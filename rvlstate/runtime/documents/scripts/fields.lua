-- What scripts that write are told of each document, from ARGV[3] on, and how its fields are written.
local arg = 3

local function take()
  arg = arg + 1
  return ARGV[arg - 1]
end

local function note(n, sign, name, values, positions)
  redis.call('ZADD', marks, string.format('%.0f', score(values, positions)), n .. sign .. name)
end

-- `values` become what the document holds then.
local function write_field(n, field, key, name, values, value)
  if value then
    local stored = put(key, field, values, value)
    if not stored then return false end
    if field.noted and field.layout == 'absence' and spec.promotion ~= '' then
      note(n, '<', name, values, field.removes)
    end
    if field.target then values[field.target] = stored end
  end
  for _, at in ipairs(field.removes) do
    if values[at] then remove(key, at) end
    values[at] = false
  end
  return true
end

-- Once all fields are written: what a value was made from may have been written or removed by the same change, and is
-- compared with what the document holds from then on.
local function note_field(n, field, name, values)
  if not field.noted then return end
  if field.layout == 'presence' then note(n, '<', name, values, field.reads) end
  note(n, '>', name, values, field.cover)
end

local function is_as_read(key, kind, seen)
  if seen == '' then return {} end
  local values = load(key, kind)
  return values and digest(values, guarded(values)) == seen and values
end

-- The digest of what was read, the states, and the new values by field.
local function take_row()
  local seen, states, new = take(), take(), {}
  for n = 1, #spec.fields do
    if string.sub(states, n, n) == '1' then new[n] = take() end
  end
  return seen, states, new
end
