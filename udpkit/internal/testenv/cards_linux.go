package testenv

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// OneSubnet makes two hosts, each behind a card of its own of this one, "va" and "vb", which are in
// one subnet: 169.254.10.1/16 and 169.254.20.1/16. The route to all of it is by "va". The hosts
// have 169.254.10.2 and 169.254.20.2. The test must be alone.
func OneSubnet(t *testing.T) (left, right *Host) {
	t.Helper()
	hosts := [2]*Host{NewHost(t), NewHost(t)}
	for i, names := range [2][3]string{{"va", "xa", "169.254.10."}, {"vb", "xb", "169.254.20."}} {
		card, far, net := names[0], names[1], names[2]
		IP(t, "link add "+card+" type veth peer name "+far)
		IP(t, "link set "+far+" netns "+hosts[i].Namespace)
		IP(t, "address add "+net+"1/16 dev "+card)
		IP(t, "link set "+card+" up")
		hosts[i].IP(t, "address add "+net+"2/16 dev "+far)
		hosts[i].IP(t, "link set "+far+" up")
		WaitForLink(t, card)
		hosts[i].Do(func() { WaitForLink(t, far) })
	}
	return hosts[0], hosts[1]
}

// WaitForLink waits until a card carries: until then the system drops what it is to send, and says
// nothing.
func WaitForLink(t *testing.T, card string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		out, err := exec.Command("ip", "-o", "link", "show", card).CombinedOutput()
		if err == nil && strings.Contains(string(out), "state UP") {
			return
		}
	}
	t.Errorf("%s does not come up", card)
}
