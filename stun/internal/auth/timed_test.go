package auth

import "testing"

// The passwords are made with another tool:
// printf NAME | openssl dgst -sha1 -hmac 'shared secret' -binary | base64
func TestTimeLimited(t *testing.T) {
	const (
		ofJuliet  = "1rxqw3g0K7to3FhRwIRZ2J3kf0g="
		ofDigits  = "lD3Y5Mk6NXOvt8cOI6sgHEDFJmo="
		ofExpired = "N6ov8X8P05n848f/QEQCCquOU30="
	)
	tests := []struct {
		name, user, password, hash string
		code, lookups              int
	}{
		{"with name", "1760000060:juliet", ofJuliet, MD5, 0, 0},
		{"with name, SHA-256", "1760000060:juliet", ofJuliet, SHA256, 0, 0},
		{"digits only", "1760000060", ofDigits, MD5, 0, 0},
		{"expired this second", "1760000000:juliet", ofExpired, MD5, 401, 0},
		{"wrong password", "1760000060:juliet", ofDigits, MD5, 401, 0},
		{"empty password", "1760000060:juliet", "", MD5, 401, 0},
		{"too many digits", "99999999999999999999:juliet", "", MD5, 401, 0},
		{"no digits", ":juliet", "", MD5, 401, 1},
		{"digits in a name", "1760000060x:juliet", "", MD5, 401, 1},
		{"sign", "+1760000060:juliet", "", MD5, 401, 1},
		{"empty", "", "", MD5, 401, 1},
		{"an account", user, password, MD5, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(nil)
			q := request{user: tt.user, password: tt.password, hash: tt.hash, realm: realm, nonce: r.challenge(t, client)}
			if tt.hash == SHA256 {
				q.list, q.choice, q.strong = algorithms, sha256Algorithm, true
			}
			id, refusal := r.try(t, q, client)
			code := 0
			if refusal != nil {
				code = refusal.Code
			}
			if code != tt.code || r.accounts.asked != tt.lookups || code == 0 && id.User != tt.user {
				t.Errorf("got %d, %d lookups, user %q, want %d, %d", code, r.accounts.asked, id.User, tt.code, tt.lookups)
			}
		})
	}
}

// Without a secret such names are those of accounts.
func TestTimeLimitedWithoutSecret(t *testing.T) {
	r := newRig(func(c *Config) { c.Secret = nil })
	_, refusal := r.try(t, request{user: "1760000060", realm: realm, nonce: r.challenge(t, client)}, client)
	if refusal == nil || refusal.Code != 401 || r.accounts.asked != 1 {
		t.Errorf("got %+v after %d lookups, want 401 after 1", refusal, r.accounts.asked)
	}
}
