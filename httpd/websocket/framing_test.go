package websocket

import "testing"

// Declarations that say anything but what is so anyway stay, for the parser to refuse.
func TestDeclaration(t *testing.T) {
	for _, c := range []struct{ sent, want string }{
		{"<a/>", "<a/>"},
		{"<?xml version='1.0'?><a/>", "<a/>"},
		{"<?xml version=\"1.0\" encoding='utf-8' standalone=\"yes\" ?>\r\n <a/>", "<a/>"},
		{"<?xml\tversion = '1.0'\nencoding\t=\t\"UTF-8\"?><a/>", "<a/>"},
		{"<?xml version='1.0'", "<?xml version='1.0'"},
		{"<?xml version='1.0\"?><a/>", "<?xml version='1.0\"?><a/>"},
		{"<?xml version='1.1'?><a/>", "<?xml version='1.1'?><a/>"},
		{"<?xml encoding='UTF-8'?><a/>", "<?xml encoding='UTF-8'?><a/>"},
		{"<?xml version='1.0' encoding='UTF-16'?><a/>", "<?xml version='1.0' encoding='UTF-16'?><a/>"},
		{"<?xml version='1.0' x='y'?><a/>", "<?xml version='1.0' x='y'?><a/>"},
		{"<?xml-stylesheet version='1.0'?><a/>", "<?xml-stylesheet version='1.0'?><a/>"},
		{" <?xml version='1.0'?><a/>", " <?xml version='1.0'?><a/>"},
	} {
		if got := string(withoutDeclaration([]byte(c.sent))); got != c.want {
			t.Errorf("%q: got %q, want %q", c.sent, got, c.want)
		}
	}
}
