package sasl

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
	"github.com/xdg-go/stringprep"
)

// Hash names of SCRAM.
const (
	SHA1   = "SHA-1"
	SHA256 = "SHA-256"
	SHA512 = "SHA-512"
)

const (
	// DefaultIterations is how many rounds of PBKDF2 a new account has when
	// nothing else is configured: ejabberd's default, and the least that
	// RFC 5802, section 5.1, and RFC 7677, section 4, advise.
	DefaultIterations = 4096
	// MaxIterations is the most that is accepted: some seconds of work.
	MaxIterations = 10_000_000
	// SaltSize is the length of a salt, in bytes.
	SaltSize = 16

	maxPassword = 1024 // bytes
	minSecret   = 16   // bytes
)

// NewSalt returns a random salt.
func NewSalt() []byte {
	salt := make([]byte, SaltSize)
	rand.Read(salt)
	return salt
}

// DeriveKeys makes what a server stores for SCRAM out of a password: hash is
// SHA-1, SHA-256 or SHA-512, the password is prepared with SASLprep, iterations
// lie between 1 and MaxIterations. It returns an error for an empty password,
// one above 1,024 bytes, and one with characters that SASLprep prohibits.
//
// Unlike RFC 5802 demands, characters that Unicode 3.2 did not have, such as
// most emoji, pass unchanged: clients send them.
// See RFC 5802, section 3.
func DeriveKeys(hashName, password string, salt []byte, iterations int) (stanza.SCRAMKeys, error) {
	h := newHash(hashName)
	if h == nil {
		return stanza.SCRAMKeys{}, fmt.Errorf("unknown hash %q: use SHA-1, SHA-256 or SHA-512", hashName)
	}
	if iterations < 1 || iterations > MaxIterations {
		return stanza.SCRAMKeys{}, fmt.Errorf("iteration count %d is not between 1 and %d", iterations, MaxIterations)
	}
	if len(salt) == 0 {
		return stanza.SCRAMKeys{}, errors.New("salt is empty")
	}
	password, err := prepPassword(password)
	if err != nil {
		return stanza.SCRAMKeys{}, err
	}
	salted, err := pbkdf2.Key(h, password, salt, iterations, h().Size())
	if err != nil {
		return stanza.SCRAMKeys{}, fmt.Errorf("deriving keys: %w", err)
	}
	stored := h()
	stored.Write(mac(h, salted, "Client Key"))
	return stanza.SCRAMKeys{
		Salt:       append([]byte(nil), salt...),
		Iterations: iterations,
		StoredKey:  stored.Sum(nil),
		ServerKey:  mac(h, salted, "Server Key"),
	}, nil
}

// prepPassword prepares a password with SASLprep (RFC 4013), in the mode that
// lets unassigned code points pass. Errors do not say which character it was.
func prepPassword(s string) (string, error) {
	if len(s) > maxPassword {
		return "", fmt.Errorf("password is longer than %d bytes", maxPassword)
	}
	p := stringprep.SASLprep
	p.Prohibits = p.Prohibits[1:] // without table A.1
	s, err := p.Prepare(s)
	if err != nil {
		return "", errors.New("password has characters that SASLprep prohibits")
	}
	if s == "" {
		return "", errors.New("password is empty")
	}
	return s, nil
}

// newHash returns the constructor of a hash, nil for an unknown name.
func newHash(name string) func() hash.Hash {
	switch name {
	case SHA1:
		return sha1.New
	case SHA256:
		return sha256.New
	case SHA512:
		return sha512.New
	}
	return nil
}

func mac(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
