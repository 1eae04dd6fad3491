# Crypt::JWT, as its documentation has it and as it is to be set. `{service, tokens}` by the algorithm that the service signs with on
# stdin, as JSON; on stdout a line: which tokens it lets in.
use strict;
use warnings;

use Crypt::JWT qw(decode_jwt);
use HTTP::Tiny;
use JSON::PP qw(decode_json encode_json);

my $at = decode_json(do { local $/; <STDIN> })->{ES256};
my ($issuer, $tokens) = @{$at}{qw(service tokens)};
my $keys = decode_json(HTTP::Tiny->new->get("$issuer/.well-known/jwks.json")->{content});

sub accept_token {
    my ($token, $is_set) = @_;
    my %names = (accepted_alg => 'ES256', verify_iss => sub { $_[0] eq $issuer }, verify_aud => sub { $_[0] eq $issuer }, verify_exp => 1);
    my ($header) = decode_jwt(token => $token, kid_keys => $keys, decode_header => 1, $is_set ? %names : ());
    die "no access token\n" if $is_set && $header->{typ} ne 'at+jwt';
    return 1;
}

sub let_in {
    my ($is_set) = @_;
    return [grep { eval { accept_token($tokens->{$_}, $is_set) } } sort keys %$tokens];
}

my %line = (name => 'Crypt::JWT', version => $Crypt::JWT::VERSION, quickstart => let_in(0), set => let_in(1));
print encode_json(\%line), "\n";
