-- One chat request, over and over. Arguments after `--`: "plain" or "stream".
function init(args)
  local stream = args[1] == "stream"
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
  local tail = stream and ',"stream":true,"stream_options":{"include_usage":true}' or ""
  wrk.body = '{"model":"mock/bench-model","messages":[{"role":"system","content":"You are a helpful assistant."},'
    .. '{"role":"user","content":"' .. string.rep("What does a gateway cost? ", 20) .. '"}],"max_tokens":128,"temperature":0.2'
    .. tail .. "}"
end
