package hallpass

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
)

// publicKey is a key and the one algorithm that it is for: never what a token's header says (RFC 8725 3.1).
type publicKey interface {
	algorithm() string
	signed(message, signature []byte) bool
}

type (
	es256 struct{ key *ecdsa.PublicKey }
	rs256 struct{ key *rsa.PublicKey }
	eddsa struct{ key ed25519.PublicKey }
)

func (es256) algorithm() string { return "ES256" }
func (rs256) algorithm() string { return "RS256" }
func (eddsa) algorithm() string { return "EdDSA" }

// signed takes the two numbers side by side (RFC 7518 3.4).
func (k es256) signed(message, signature []byte) bool {
	if len(signature) != 64 {
		return false
	}
	hash := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	return ecdsa.Verify(k.key, hash[:], r, s)
}

func (k rs256) signed(message, signature []byte) bool {
	hash := sha256.Sum256(message)
	return rsa.VerifyPKCS1v15(k.key, crypto.SHA256, hash[:], signature) == nil
}

func (k eddsa) signed(message, signature []byte) bool {
	return ed25519.Verify(k.key, message, signature)
}

// keySet is the public keys of an issuer, by kid.
type keySet map[string]publicKey

var (
	setNames = names("keys")
	jwkNames = names("kid", "kty", "alg", "use", "key_ops", "crv", "x", "y", "n", "e")

	errNoKeyOfUse = errors.New("the issuer publishes no key that verifies its tokens")
)

// parseKeySet reads a JWK Set (RFC 7517 5). Entries that cannot verify a token are passed over; one that is broken spoils
// the set.
func parseKeySet(text []byte) (keySet, error) {
	set, err := parseObject(text, setNames)
	if err != nil {
		return nil, err
	}
	if !set.has("keys") {
		return nil, errJSON
	}
	keys := keySet{}
	err = elements(set["keys"], func(raw json.RawMessage) error {
		jwk, err := members(raw, jwkNames)
		if err != nil {
			return err
		}
		return keys.add(jwk)
	})
	if err == nil && len(keys) == 0 {
		err = errNoKeyOfUse
	}
	return keys, err
}

func (keys keySet) add(jwk object) error {
	kid, err := jwk.nullableText("kid")
	if err != nil {
		return err
	}
	alg, err := jwk.nullableText("alg")
	if err != nil {
		return err
	}
	fit, err := checksSignatures(jwk)
	if err != nil || !fit || kid == nil || alg == nil {
		return err
	}
	var key publicKey
	switch kty, _ := jwk.text("kty"); kty + " " + *alg {
	case "EC ES256":
		key, err = parseEC(jwk)
	case "RSA RS256":
		key, err = parseRSA(jwk)
	case "OKP EdDSA":
		key, err = parseOKP(jwk)
	}
	if err != nil {
		return fmt.Errorf("the key %s cannot be read: %w", *kid, err)
	}
	if key != nil {
		keys[*kid] = key
	}
	return nil
}

// checksSignatures reads both ways to say what a key is for (RFC 7517 4.2, 4.3); silence allows everything.
func checksSignatures(jwk object) (bool, error) {
	use, err := jwk.nullableText("use")
	if err != nil || use != nil && *use != "sig" {
		return false, err
	}
	if !jwk.has("key_ops") || jwk.isNull("key_ops") {
		return true, nil
	}
	operations, err := jwk.texts("key_ops")
	return contains(operations, "verify"), err
}

var errBrokenKey = errors.New("it is broken or weak")

// parseEC reads a point on P-256; without its members, or on another curve, it is of no use.
func parseEC(jwk object) (publicKey, error) {
	curve, _ := jwk.text("crv")
	x, missing := jwk.text("x")
	y, missingToo := jwk.text("y")
	if curve != "P-256" || missing != nil || missingToo != nil {
		return nil, nil
	}
	xBytes, err := decode(x)
	yBytes, errToo := decode(y)
	if err != nil || errToo != nil || len(xBytes) != 32 || len(yBytes) != 32 {
		return nil, errBrokenKey
	}
	// Under a point that is not on the curve no signature is right.
	point := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(xBytes), Y: new(big.Int).SetBytes(yBytes)}
	return es256{point}, nil
}

// parseRSA reads a modulus of 2048 bits (RFC 7518 3.3) to 8192, and an odd exponent above one (RFC 8017 3.1).
func parseRSA(jwk object) (publicKey, error) {
	n, missing := jwk.text("n")
	e, missingToo := jwk.text("e")
	if missing != nil || missingToo != nil {
		return nil, nil
	}
	nBytes, err := decode(n)
	eBytes, errToo := decode(e)
	if err != nil || errToo != nil {
		return nil, errBrokenKey
	}
	modulus, exponent := new(big.Int).SetBytes(nBytes), new(big.Int).SetBytes(eBytes)
	bytes := (modulus.BitLen() + 7) / 8
	if bytes < 256 || bytes > 1024 || exponent.Bit(0) == 0 || exponent.Cmp(big.NewInt(1)) == 0 {
		return nil, errBrokenKey
	}
	if !exponent.IsInt64() || exponent.Int64() > 1<<31-1 {
		return nothing("RS256"), nil
	}
	return rs256{&rsa.PublicKey{N: modulus, E: int(exponent.Int64())}}, nil
}

// nothing is a key under which no signature is right.
type nothing string

func (n nothing) algorithm() string     { return string(n) }
func (nothing) signed(_, _ []byte) bool { return false }

func ends(first, middle, last byte) [32]byte {
	return endsOf(first, bytes.Repeat([]byte{middle}, 30), last)
}

func endsOf(first byte, middle []byte, last byte) (point [32]byte) {
	point[0], point[31] = first, last
	copy(point[1:], middle)
	return point
}

// smallOrder are the points of Ed25519 whose order divides eight, by their y-coordinate without the sign of x (Cremers and
// Jackson, "Prime, Order Please!", 2019, table 2). Under such a key one signature fits many messages or all.
var smallOrder = [][32]byte{
	ends(0, 0, 0),
	ends(1, 0, 0),
	{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	},
	{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	},
	// The prime of the field less one, itself (another zero) and plus one (another one).
	ends(0xec, 0xff, 0x7f),
	ends(0xed, 0xff, 0x7f),
	ends(0xee, 0xff, 0x7f),
}

func parseOKP(jwk object) (publicKey, error) {
	curve, _ := jwk.text("crv")
	x, missing := jwk.text("x")
	if curve != "Ed25519" || missing != nil {
		return nil, nil
	}
	point, err := decode(x)
	if err != nil || len(point) != ed25519.PublicKeySize {
		return nil, errBrokenKey
	}
	unsigned := endsOf(point[0], point[1:31], point[31]&0x7f)
	for _, small := range smallOrder {
		if unsigned == small {
			return nil, errBrokenKey
		}
	}
	return eddsa{point}, nil
}
