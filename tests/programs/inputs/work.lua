-- Tables, closures and strings that live and die: the collector's daily work.
local words, seed = {}, 42
local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n end
local total = 0
for round = 1, 6 do
  local index = {}
  for i = 1, 40000 do
    local key = "key" .. random(20000)
    local entry = index[key]
    if entry then entry[#entry + 1] = i else index[key] = { i, name = key } end
  end
  for key, entry in pairs(index) do total = total + #entry + #key end
  local parts = {}
  for i = 1, 20000 do parts[i] = string.format("%d:%s", i, ("x"):rep(i % 30)) end
  total = total + #table.concat(parts, ",")
  for i = 1, 20000 do words[i] = function() return i + round end end
  for i = 1, 20000 do total = total + words[i]() end
end
print(total)
