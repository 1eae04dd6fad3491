# ruby-jwt, as its documentation has it and as it is to be set. `{service, tokens}` by the algorithm that the service signs with on stdin,
# as JSON; on stdout a line: which tokens it lets in.
require 'json'
require 'jwt'
require 'net/http'

at = JSON.parse($stdin.read)['ES256']
issuer, tokens = at.values_at('service', 'tokens')
keys = JSON.parse(Net::HTTP.get(URI("#{issuer}/.well-known/jwks.json")), symbolize_names: true)

accept = lambda do |token, is_set|
  options = is_set ? { algorithms: ['ES256'], iss: issuer, verify_iss: true, aud: issuer, verify_aud: true } : { algorithms: ['RS512'] }
  _payload, header = JWT.decode(token, nil, true, options.merge(jwks: keys))
  raise 'no access token' if is_set && header['typ'] != 'at+jwt'

  true
rescue StandardError
  false
end

let_in = ->(is_set) { tokens.keys.select { |name| accept.call(tokens[name], is_set) } }
version = JWT::VERSION::STRING.split('.').first(2).join('.')
puts JSON.generate(name: 'ruby-jwt', version: version, quickstart: let_in.call(false), set: let_in.call(true))
