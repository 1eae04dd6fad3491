-- Asks hallpass whether a request may pass. As /etc/haproxy/hallpass.lua, loaded by haproxy.cfg.
-- The action's argument is the question, an http:// address with an IP address or a name that a section
-- `resolvers default` finds.

-- How long hallpass may take, milliseconds. HAProxy's client asks up to four times before it gives up.
local TIMEOUT = 1000

-- What it is asked by, and what of its answer is kept in which variable.
local TOKENS = { "authorization", "x-refresh-token" }
local KEPT = {
    ["txn.hallpass_user"] = "remote-user",
    ["txn.hallpass_email"] = "remote-email",
    ["txn.hallpass_groups"] = "remote-groups",
    ["txn.hallpass_challenge"] = "www-authenticate",
    ["txn.hallpass_access_token"] = "x-access-token",
}

core.register_action("hallpass", { "http-req" }, function(txn, question)
    local sent = txn.http:req_get_headers()
    local headers = { ["x-forwarded-for"] = { [0] = txn.sf:src() } }
    for _, name in ipairs(TOKENS) do
        -- A header that comes twice is asked about as it is: hallpass refuses it.
        headers[name] = sent[name]
    end

    local answer = core.httpclient():get({ url = question, headers = headers, timeout = TIMEOUT })
    -- Without an answer there is no verdict.
    txn:set_var("txn.hallpass_status", answer and answer.status or 0)
    local told = answer and answer.headers or {}
    for variable, name in pairs(KEPT) do
        if told[name] then
            txn:set_var(variable, told[name][0])
        end
    end
end, 1)
