package lab

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// askKernel runs cells in a kernel, one after the other, and prints what each replied and showed. A
// cell that begins with // INTERRUPT is interrupted as soon as the kernel has begun with it.
const askKernel = `
import json, sys
from jupyter_client.manager import KernelManager
km = KernelManager(kernel_name="gonb")
km.start_kernel()
kc = km.client()
kc.start_channels()
kc.wait_for_ready(timeout=60)
answers = []
try:
    cells = json.load(sys.stdin)
    for code in cells:
        id = kc.execute(code)
        shown = ""
        while True:
            m = kc.get_iopub_msg(timeout=60)
            if m["parent_header"].get("msg_id") != id: continue
            kind, content = m["msg_type"], m["content"]
            if kind == "execute_input" and code.startswith("// INTERRUPT"): km.interrupt_kernel()
            if kind == "status" and content["execution_state"] == "idle": break
            if kind == "stream": shown += content["text"]
            if kind in ("display_data", "update_display_data"): shown += content["data"].get("text/html", "").split("</style>")[-1]
            if kind == "error": shown += "\n".join(content["traceback"])
        answers.append({"status": kc.get_shell_msg(timeout=60)["content"]["status"], "shown": shown})
    sent = [kc.execute(code) for code in (cells[2], cells[-1], cells[-1])] # as Run All does
    answers += [{"status": kc.get_shell_msg(timeout=60)["content"]["status"]} for _ in sent]
finally:
    km.shutdown_kernel(now=True)
print(json.dumps(answers))
`

// TestKernelErrors reads what a beginner's commonest errors show, and stops a cell that compiles.
func TestKernelErrors(t *testing.T) {
	env := realSetup(t)
	ran := filepath.Join(t.TempDir(), "ran")
	cells := []string{
		"import \"os\"\n\nfunc upper(b []byte) []byte {\n\treturn bytes.toUpper(b)\n}\n%%\nfmt.Println(upper(nil))",
		"%%\nfmt.Println(elsewhere.Value)",
		"%%\nclient()",
		"%%\nstrings.toUpper(\"a\")\nx := 1",
		"%%\nfmt.Println(\"a\"",
		"%%\nos.Exit(3)",
		"// INTERRUPT\nimport \"os\"\n%%\nos.WriteFile(" + strconv.Quote(ran) + ", nil, 0o600)",
		"%%\nfmt.Println(\"goes on\")",
	}
	asked, err := json.Marshal(cells)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), env.Python, "-c", askKernel)
	cmd.Env, cmd.Stdin, cmd.Stderr = append(env.Environ, goplsVariable+"="+os.DevNull), strings.NewReader(string(asked)), t.Output()
	out, err := cmd.Output()
	require.NoError(t, err)
	var answers []struct{ Status, Shown string }
	require.NoError(t, json.Unmarshal(out, &answers))
	require.Len(t, answers, len(cells)+3)
	for i, want := range [][]string{
		{"Line 4", "undefined: bytes", "begins with a capital letter: bytes.ToUpper?"},
		{"Line 2", "undefined: elsewhere", "Run &gt; Run All Above Selected Cell", "as in import &#34;bytes&#34;"},
		{"Line 2", "undefined: client", "Run &gt; Run All Above Selected Cell"},
		{"Line 2", "begins with a capital letter: strings.ToUpper?", "Line 3", "declared and not used: x", "write _ in its place"},
		{"Line 2"},
		{"exit status 3"},
		{"interrupted while it was compiled: the cell has not run"},
	} {
		assert.Equal(t, "error", answers[i].Status, cells[i])
		for _, text := range want {
			assert.Contains(t, answers[i].Shown, text)
		}
		assert.NotContains(t, answers[i].Shown, os.TempDir()+"/", cells[i])
		assert.LessOrEqual(t, strings.Count(answers[i].Shown, "exit status"), 1, cells[i])
	}
	assert.NoFileExists(t, ran)
	assert.Equal(t, "ok", answers[len(cells)-1].Status)
	for i, status := range []string{"error", "aborted", "aborted"} {
		assert.Equal(t, status, answers[len(cells)+i].Status, "what waits behind a cell that fails does not run")
	}
}
