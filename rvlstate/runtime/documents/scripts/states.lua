-- How a document is told to be done, field by field: the table is in blueprint.py.
local copied = false -- Whether the document has a copy that has not taken its place yet.

local function is_ours(n, key, values, positions, sign)
  local noted = redis.call('ZSCORE', marks, n .. sign .. key)
  return noted and tonumber(noted) == score(values, positions)
end

local function is_done(n, field, key, kind, values)
  if field.layout == 'type' then return kind == spec.to end
  if field.layout == 'length' then return fits(key, field, values) end
  if field.layout == 'marker' then return is_ours(n, key, values, field.cover, '>') end
  if not values[field.target] then return false end
  -- presence: what somebody else wrote stays; what we wrote is done while its inputs are what it was made from, or if
  -- one of them went with this change: nothing can be made of the rest.
  return not field.noted
    or not is_ours(n, key, values, field.cover, '>')
    or is_ours(n, key, values, field.reads, '<')
    or not all(values, field.going)
end

-- What goes with a rename is what is at the new place already, or was there when the copy was made, before that changed.
local function is_stale(n, field, key, values)
  if copied and is_ours(n, key, values, field.removes, '<') then return true end
  for _, at in ipairs(field.removes) do
    if values[at] and values[at] ~= values[field.target] then return false end
  end
  return true
end

local function state(n, field, key, kind, values)
  local leftover = any(values, field.removes)
  if field.layout == 'absence' then
    if not leftover then return 0 end
    if not field.target then return 2 end
    if values[field.target] and not is_ours(n, key, values, field.cover, '>') then
      return is_stale(n, field, key, values) and 2 or 3
    end
  elseif is_done(n, field, key, kind, values) then
    return leftover and 2 or 0
  end
  if #field.reads > 0 and not any(values, field.reads) then return 0 end
  return 1
end

-- The states of all fields (see read.lua), and whether anything is to be done.
local function states_of(key, kind, values)
  local states, todo = {}, false
  for n, field in ipairs(spec.fields) do
    states[n] = state(n, field, key, kind, values)
    todo = todo or states[n] > 0
  end
  return states, todo
end
