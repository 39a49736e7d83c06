package bosh_test

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/httpd/bosh"
)

// sequence returns n keys, in the order of their use.
func sequence(seed string, n int) []string {
	list := make([]string, n)
	for i := range list {
		sum := sha1.Sum([]byte(seed))
		seed = hex.EncodeToString(sum[:])
		list[n-1-i] = seed
	}
	return list
}

// See XEP-0124, section 15.
func TestKeys(t *testing.T) {
	one, two := sequence("seed", 4), sequence("another seed", 3)
	for _, c := range []struct {
		name     string
		requests []string // attributes of each
		ok       int      // how many of them are right
	}{
		{"in order", []string{"key='" + one[1] + "'", "key='" + one[2] + "'", "key='" + one[3] + "'"}, 3},
		{"upper case", []string{"key='" + strings.ToUpper(one[1]) + "'"}, 0}, // the hash is that of another text
		{"hash in upper case", []string{"key='" + one[1] + "' newkey='" + strings.ToUpper(two[0]) + "'", "key='" + two[1] + "'"}, 2},
		{"another sequence", []string{"key='" + one[1] + "' newkey='" + two[0] + "'", "key='" + two[1] + "'", "key='" + two[2] + "'"}, 3},
		{"the same key again", []string{"key='" + one[1] + "'", "key='" + one[1] + "'"}, 1},
		{"one left out", []string{"key='" + one[2] + "'"}, 0},
		{"no key", []string{""}, 0},
		{"no key later", []string{"key='" + one[1] + "'", ""}, 1},
		{"another sequence without a key", []string{"newkey='" + two[0] + "'"}, 0},
		{"not of this sequence", []string{"key='" + two[1] + "'"}, 0},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("newkey='" + one[0] + "'")
			for i, attrs := range c.requests {
				p := x.send(attrs, message)
				synctest.Wait()
				if i == c.ok {
					p.wait().ends(t, "item-not-found")
					break
				}
				if _, err := s.Read(); err != nil {
					t.Errorf("request %d: %v", i, err)
				}
				if err := s.Write(batch("<a/>")); err != nil {
					t.Errorf("request %d: %v", i, err)
				}
				p.wait().is(t, withBody("<a/>"))
			}
			_ = s.end()
		})
	}
}

// Who makes a request again has its key.
func TestKeyOfReplay(t *testing.T) {
	keys := sequence("seed", 3)
	for _, held := range []bool{true, false} {
		for _, c := range []struct {
			name, attrs string
			ok          bool
		}{{"right", "key='" + keys[1] + "'", true}, {"none", "", false}, {"wrong", "key='" + keys[2] + "'", false}} {
			bubble(t, c.name+map[bool]string{true: ", held", false: ", answered"}[held], func(t *testing.T) {
				r := newRig(t, bosh.Defaults())
				defer r.end()
				x, s := r.open("newkey='" + keys[0] + "'")
				p := x.send("key='"+keys[1]+"'", "")
				synctest.Wait()
				if !held {
					if err := s.Write(batch("<a/>")); err != nil {
						t.Error(err)
					}
					p.wait()
				}
				q := x.start(x.body(x.rid, c.attrs, ""))
				synctest.Wait()
				switch {
				case !c.ok:
					q.wait().ends(t, "item-not-found")
				case !held:
					q.wait().is(t, withBody("<a/>"))
				}
				_ = s.end()
				if held {
					p.wait()
				}
				if held && c.ok {
					q.wait()
				}
			})
		}
	}
}
