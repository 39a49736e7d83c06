package jidprep

import (
	"strings"
	"testing"

	"mellium.im/xmpp/jid"
)

var seeds = []string{
	"juliet@capulet.example/balcony", "Juliet@CAPULET.example/Balcony", "bücher.example", "xn--bcher-kva.example",
	"u@xn--example-.com", "a..b", "a.", "a..", "a。", "[::1]", "[0:0::1]/x", "[::ffff:1.2.3.4]", "1.2.3.4.", "a@b/ ", "a@b/\u00a0",
	"@b", "a@", "b/", "a@@b", "a/b/c", "ß@ß", "ＡＢ@ｃ/Ｄ", "e\u0301@x", "\u0130@x", "\u212b@x", "\u1e9e@b", "Ǆ@x", "a\u200db@x",
	"ab--c.d", "-a", "a-", "_a", "ⅷ@x", "x/ⅷ", "אב@x", "node1/", "ｘｎ－－a.b", "\u0345@x", "\uff9e@x", "x/\u3000", "ﬁ@ﬁ.x/ﬁ",
}

// FuzzIdempotent checks that preparing a prepared part changes nothing.
func FuzzIdempotent(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, prepare := range parts {
			once, err := prepare(s)
			if err != nil {
				if once != "" {
					t.Errorf("%s %q: got %q with error %v, want nothing", name, s, once, err)
				}
				continue
			}
			if twice, err := prepare(once); err != nil || twice != once {
				t.Errorf("%s %q: got %q, then %q, %v", name, s, once, twice, err)
			}
			if len(once) > maxPart {
				t.Errorf("%s %q: got %d bytes, want at most %d", name, s, len(once), maxPart)
			}
		}
	})
}

// parse prepares a whole address.
func parse(s string) (local, domain, resource string, err error) {
	l, d, r, err := Split(s)
	if err != nil {
		return "", "", "", err
	}
	if local, err = Local(l); err != nil {
		return "", "", "", err
	}
	if domain, err = Domain(d); err != nil {
		return "", "", "", err
	}
	resource, err = Resource(r)
	return local, domain, resource, err
}

// FuzzParse compares with another implementation of RFC 7622. The differences
// allowed are those that the package comment names.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		local, domain, resource, err := parse(s)
		want, wantErr := jid.Parse(s)
		switch {
		case err == nil && wantErr != nil:
			t.Errorf("%q: accepted as %q %q %q, want error %v", s, local, domain, resource, wantErr)
		case err == nil:
			want = stable(want)
			got := [3]string{local, domain, resource}
			if exp := [3]string{want.Localpart(), want.Domainpart(), want.Resourcepart()}; got != exp && !strings.HasPrefix(domain, "[") {
				t.Errorf("%q: got %q, want %q", s, got, exp)
			}
		case wantErr == nil && !stricter(s, want):
			t.Errorf("%q: got %v, want %v", s, err, want)
		}
	})
}

// stable prepares j until that changes nothing.
func stable(j jid.JID) jid.JID {
	for range 4 {
		next, err := jid.New(j.Localpart(), j.Domainpart(), j.Resourcepart())
		if err != nil || next.Equal(j) {
			break
		}
		j = next
	}
	return j
}

// stricter reports whether one of our own rules refuses s, which the other
// implementation takes for j.
func stricter(s string, j jid.JID) bool {
	for label := range strings.SplitSeq(j.Domainpart(), ".") {
		if label == "" || strings.HasPrefix(label, "xn--") {
			return true
		}
	}
	if _, d, _, _ := Split(s); strings.HasSuffix(d, "..") || strings.HasPrefix(d, "[") || len(d) > 4*maxPart {
		return true
	}
	_, err := jid.New(j.Localpart(), j.Domainpart(), j.Resourcepart())
	return err != nil || !stable(j).Equal(stable(stable(j)))
}
