-- Records are flat JSON objects in string keys: a hash would be a document of every index with an empty prefix.
-- One that was damaged by hand is kept whole in the field `unreadable`, so that it can be looked at and replaced.
local function read(key)
  local text = redis.call('GET', key)
  if not text then
    return nil
  end
  local ok, fields = pcall(cjson.decode, text)
  if not ok or string.sub(text, 1, 1) ~= '{' then
    return {unreadable = text}
  end
  return fields
end

-- A server whose memory is full judges a script by its first write, and lets those pass that need none, as this one does
-- (of a key that is never there). What is kept here is small, and where it could not be written nobody could give memory
-- back: a rollback removes copies of every document, and has to say so in the state first.
local function pass_full_memory(key)
  redis.call('DEL', key .. ':none')
end

local function write(key, fields)
  redis.call('SET', key, cjson.encode(fields), 'KEEPTTL')
end

-- Put field, value, ... into a table, from the argument at `first` on.
local function take_arguments(fields, first, suffix)
  for index = first, #ARGV, 2 do
    fields[ARGV[index] .. (suffix or '')] = ARGV[index + 1]
  end
  return fields
end

