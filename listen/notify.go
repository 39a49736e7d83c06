package listen

import "github.com/tidewaiter/tidewaiter/internal/sock"

// Notification is something that a service manager wants to know about a
// process.
type Notification = sock.Notification

const (
	Ready     = sock.Ready     // the process serves; after Reloading, it serves again
	Reloading = sock.Reloading // it reads its configuration again; Ready follows
	Stopping  = sock.Stopping  // it ends
	Status    = sock.Status    // nothing has changed but the status text
)

// Notify tells systemd, or another service manager with its protocol, about
// the process; status is a line of text for humans and may be empty. It does
// nothing and returns nil when the process has no such manager. It blocks no
// longer than a second. See sd_notify(3).
func Notify(n Notification, status string) error { return n.Send(status) }
