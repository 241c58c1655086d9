-- Makes staged copies, or brings documents into the desired layout where they are, each only if the document is still
-- what was read. ARGV[3..]: see fields.lua.
local function no_place(n)
  local at = misfit(n)
  return at == 0 and MOVED_ON or at + NO_PLACE
end

-- The first field that could not be written, or nil.
local function failed(target, name, states, values, new)
  for n, field in ipairs(spec.fields) do
    if string.sub(states, n, n) ~= '0' and not write_field(n, field, target, name, values, new[n]) then return n end
  end
  for n, field in ipairs(spec.fields) do
    if new[n] then note_field(n, field, name, values) end
  end
end

-- It is made beside the copy and then takes its place: an index that is there already sees one write, not several.
local function make_copy(key, copy, states, values, new)
  redis.call('COPY', key, scratch, 'REPLACE')
  local n = failed(scratch, moved and copy or key, states, values, new)
  if n then
    redis.call('DEL', scratch)
    return no_place(n) + drop(key, copy)
  end
  redis.call('RENAME', scratch, copy)
  note_content('s', key, content(key))
  if moved then note_content('p', key, content(copy)) end
  if spec.chained then redis.call('ZADD', marks, 1, 'm' .. copy) end
  return WRITTEN
end

local function write_in_place(key, copy, states, values, new)
  local n = failed(key, key, states, values, new)
  if n then return no_place(n) + drop(key, copy) end
  if spec.promotion == 'rename' then return WRITTEN + drop(key, copy) end
  copy_as_it_is(key, copy)
  return WRITTEN
end

local function write(key, copy)
  local seen, states, new = take_row()
  local kind = type_of(key)
  if kind == 'none' then return GONE + drop(key, copy) end
  local values = accepts(kind) and is_as_read(key, kind, seen)
  if not values then return MOVED_ON end
  if moved then
    local owner = whose(key, copy)
    if owner == 'theirs' and mode == 'stage' then return TAKEN end
    if owner == 'newer' or owner == 'theirs' then return MOVED_ON end
    return make_copy(key, copy, states, values, new)
  end
  -- Nothing could be made of it: it stays as it is.
  if not string.find(string.sub(states, 1, #spec.fields), '[^0]') then
    if spec.promotion == 'rename' then return NOTHING + drop(key, copy) end
    copy_as_it_is(key, copy)
    return WRITTEN
  end
  return (mode == 'stage' and make_copy or write_in_place)(key, copy, states, values, new)
end

return for_each(write)
