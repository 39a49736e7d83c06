package boltstore

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// codec encodes what decode returns.
type codec struct {
	name   string
	decode func(value []byte) (any, error)
	encode func(v any) []byte
}

func codecs(t testing.TB) []codec {
	user := jid(t, "romeo@a.test")
	return []codec{
		{"account", func(b []byte) (any, error) { return decodeAccount(user, b) }, func(v any) []byte { return encodeAccount(v.(host.Account)) }},
		{"item", func(b []byte) (any, error) { return decodeItem(user, b) }, func(v any) []byte { return encodeItem(v.(roster.Item)) }},
		{"roster header", func(b []byte) (any, error) { return decodeRosterHeader(b) }, func(v any) []byte { return v.(rosterHeader).encode() }},
		{"total", func(b []byte) (any, error) { return decodeTotal(b) }, func(v any) []byte { return v.(total).encode() }},
		{"text", func(b []byte) (any, error) { return decodeText(b) }, func(v any) []byte { return encodeText(v.(string)) }},
		{"activity", func(b []byte) (any, error) { return decodeActivity(b) }, func(v any) []byte { return encodeActivity(v.(last.Activity)) }},
		{"grant", func(b []byte) (any, error) { return decodeGrant(host.GrantID{9}, b) }, func(v any) []byte { return encodeGrant(v.(host.Grant)) }},
		{"client", func(b []byte) (any, error) { return decodeClient("dinghy", b) }, func(v any) []byte { return encodeClient(v.(host.Client)) }},
		{"block list", func(b []byte) (any, error) { return decodeBlockList(b) }, func(v any) []byte { return encodeBlockList(v.(blocking.List)) }},
	}
}

// samples have every field in use, and none.
func samples(t testing.TB) map[string][]any {
	user := jid(t, "romeo@a.test")
	return map[string][]any{
		"account": {
			host.Account{JID: user},
			host.Account{JID: user, SCRAM: map[string]stanza.SCRAMKeys{}, HA1MD5: []byte{}, Revision: 1},
			host.Account{JID: user, Disabled: true, Ban: &host.Ban{At: time.Unix(1, 0).UTC(), Last: time.Unix(-1, 0).UTC()}},
			host.Account{
				JID: user, Disabled: true, Removing: true, HA1MD5: []byte{1, 2}, HA1SHA256: []byte{3}, Revision: 1 << 63,
				Ban: &host.Ban{Reason: "Spam", At: time.Unix(1<<31, 0).UTC(), LastStatus: "gone"},
				SCRAM: map[string]stanza.SCRAMKeys{
					"SHA-1":   {Salt: []byte("salt"), Iterations: 4096, StoredKey: []byte("stored"), ServerKey: []byte("server")},
					"SHA-512": {Salt: []byte{}, Iterations: -1},
				},
			},
		},
		"item": {
			roster.Item{Contact: user},
			roster.Item{Contact: user, Name: "Romeo", Groups: []string{"", "Friends"}, Subscription: roster.Both, Ask: true, Approved: true, Listed: true, Request: "<presence/>", Version: 1 << 40},
			roster.Item{Contact: user, Subscription: roster.From, Approved: true},
		},
		"roster header": {rosterHeader{}, rosterHeader{roster.Version{Current: 1 << 50, Deleted: 7}, 300}},
		"total":         {total{}, total{1000, 1 << 40}},
		"text":          {"", "<x/>", strings.Repeat("x", 100_000)},
		"activity":      {last.Activity{At: time.Unix(0, 0).UTC()}, last.Activity{At: time.Unix(-1<<40, 0).UTC(), Status: "gone"}},
		"grant":         grantSamples(user),
		"client": {
			host.Client{OAuthClient: stanza.OAuthClient{ID: "dinghy"}},
			host.Client{
				OAuthClient: stanza.OAuthClient{ID: "dinghy", Name: "Größe", Kind: stanza.OAuthCodeClient, Confidential: true, Redirects: []string{"https://app.test", ""}},
				Salt:        []byte{}, Key: []byte{1, 2}, Rounds: -1,
			},
		},
		"block list": {blocking.List{}, blocking.List{Blocked: []stanza.JID{jid(t, "b.test"), user, jid(t, "x@b.test/y")}, Revision: 12}},
	}
}

func TestCodec(t *testing.T) {
	all := samples(t)
	for _, c := range codecs(t) {
		t.Run(c.name, func(t *testing.T) {
			for _, want := range all[c.name] {
				value := c.encode(want)
				if got, err := c.decode(value); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("got %+v, %v; want %+v", got, err, want)
				}
				wantCut(t, c, value)
			}
			if _, err := c.decode([]byte{2}); err == nil {
				t.Error("a value of another format: no error")
			}
		})
	}
}

// Accounts of files that know no removals are read as they were.
func TestAccountsOfOldFiles(t *testing.T) {
	user := jid(t, "romeo@a.test")
	for value, want := range map[string]host.Account{
		"\x01\x00\x05\x00\x00\x00":     {JID: user, Revision: 5},
		"\x01\x01\x05\x02\x07\x00\x00": {JID: user, Revision: 5, Disabled: true, HA1MD5: []byte{7}},
		"\x01\x03\x80\x01\x00\x01\x00": {JID: user, Revision: 128, Disabled: true, HA1SHA256: []byte{}, SCRAM: map[string]stanza.SCRAMKeys{}},
	} {
		got, err := decodeAccount(user, []byte(value))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v; want %+v", value, got, err, want)
		}
		if removing, err := isRemoving([]byte(value)); removing || err != nil {
			t.Errorf("%q: it is being removed: %t, %v", value, removing, err)
		}
		if again := encodeAccount(want); string(again) != value {
			t.Errorf("%q is written as %q", value, again)
		}
	}
}

// wantCut wants an error of each value that is cut, where its end can be told.
func wantCut(t *testing.T, c codec, value []byte) {
	t.Helper()
	open := c.name == "text" || c.name == "activity" // the last field takes what is left
	for n := range min(len(value), 1000) {
		if _, err := c.decode(value[:n]); err == nil && !(open && n > 0) {
			t.Errorf("the first %d bytes of %d: no error", n, len(value))
		}
	}
	if _, err := c.decode(append(bytes.Clone(value), 0)); err == nil && !open {
		t.Error("a byte too many: no error")
	}
}

// Whatever is in a file, decoding it gives an error or something that is stored
// as it is.
func FuzzDecode(f *testing.F) {
	all := samples(f)
	list := codecs(f)
	for i, c := range list {
		for _, v := range all[c.name] {
			f.Add(uint8(i), c.encode(v))
		}
	}
	f.Add(uint8(0), []byte{1, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, kind uint8, value []byte) {
		c := list[int(kind)%len(list)]
		v, err := c.decode(value)
		if err != nil {
			return
		}
		again, err := c.decode(c.encode(v))
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Errorf("%s: got %+v, %v; want %+v", c.name, again, err, v)
		}
	})
}

// A key says whose it is, whatever is in it.
func FuzzKey(f *testing.F) {
	f.Add("romeo@a.test", "urn:x", "y")
	f.Add("a.test", strings.Repeat("x", 255), "")
	f.Fuzz(func(t *testing.T, user, space, local string) {
		j, err := stanza.ParseJID(user)
		if err != nil {
			return
		}
		got, _, err := splitKey(elementKey(j, stanza.Name{Space: space, Local: local}))
		if err != nil || got != j.Bare() {
			t.Errorf("splitKey = %s, %v; want %s", got, err, j.Bare())
		}
		account, err := parseAccountKey(accountKey(j.Domain(), j.Local()))
		if err != nil || account != j.Bare() {
			t.Errorf("parseAccountKey = %s, %v; want %s", account, err, j.Bare())
		}
	})
}

func TestElementKeysDiffer(t *testing.T) {
	user := jid(t, "romeo@a.test")
	long := strings.Repeat("x", maxName)
	seen := make(map[string]stanza.Name)
	for _, n := range []stanza.Name{
		{}, {Space: "a", Local: "b"}, {Space: "", Local: "ab"}, {Space: "ab", Local: ""}, {Space: "a\x00b"}, {Space: "a", Local: "\x00b"},
		{Space: long, Local: "y"}, {Space: long + "y"}, {Local: long + "y"}, {Space: long[:255]}, {Space: long[:254], Local: "x"},
	} {
		key := string(elementKey(user, n))
		if other, ok := seen[key]; ok {
			t.Errorf("%.20q and %.20q have one key", other, n)
		}
		seen[key] = n
		if len(key) > 1500 {
			t.Errorf("%.20q: the key has %d bytes", n, len(key))
		}
	}
}
