package extdisco

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// newSecret returns a secret that nobody knows.
func newSecret() []byte { return []byte(rand.Text()) }

// username returns a user name for an account until a time.
func username(secret []byte, user stanza.JID, expires time.Time) string {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("user of a relay\x00" + user.Bare().String()))
	const enough = 12 // bytes, so that no two users are the same
	return strconv.FormatInt(expires.Unix(), 10) + ":" + base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:enough])
}

// password returns the password of a user name.
func password(secret []byte, username string) string {
	m := hmac.New(sha1.New, secret)
	m.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// isGood reports whether a user name has a time, which has not come. There is always
// a colon after it: a number may be the name of an account.
func isGood(username string, now time.Time) bool {
	until, _, ok := strings.Cut(username, ":")
	t, err := strconv.ParseInt(until, 10, 64)
	return ok && err == nil && t > now.Unix()
}
