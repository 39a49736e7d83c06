package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"github.com/pion/stun"
)

// timeLimited says whether a user name is time-limited, and until when in Unix time: it
// is digits alone, or digits and a colon in front of a name.
func timeLimited(user string) (expiry int64, ok bool) {
	digits, _, _ := strings.Cut(user, ":")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	expiry, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return math.MinInt64, true // nobody made it: as good as over
	}
	return expiry, true
}

// Account returns whose a user name is: what stands behind the time of one that is
// time-limited, so that all that somebody was given are of the same account; or the
// user name itself.
func (a *Authenticator) Account(user string) string {
	if _, ok := timeLimited(user); !ok || len(a.config.Secret) == 0 {
		return user
	}
	if _, name, ok := strings.Cut(user, ":"); ok {
		return name
	}
	return user
}

// timeLimitedKey returns the key of a time-limited user name, whose password is the
// HMAC-SHA1 of the name.
func timeLimitedKey(secret []byte, user, realm, algorithm string) []byte {
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(user))
	password := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if algorithm == SHA256 {
		key := sha256.Sum256([]byte(user + ":" + realm + ":" + password))
		return key[:]
	}
	return stun.NewLongTermIntegrity(user, realm, password)
}

// keySize is the length of keys of an algorithm.
func keySize(algorithm string) int {
	if algorithm == SHA256 {
		return sha256.Size
	}
	return md5.Size
}
