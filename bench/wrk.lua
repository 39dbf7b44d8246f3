-- One request, over and over. The argument after `--` is its body.
function init(args)
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
  wrk.body = args[1]
end
