-- Milliseconds since 1970 by the server's clock, which is the same for all holders.
local function now()
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end

