using System.Diagnostics;

namespace NablaGen.Tests.Cli;

[Trait(Lane.Name, Lane.Commands)]
public class CompletionTests
{
    [Theory]
    [InlineData("nablagen gen", "generate")]
    [InlineData("nablagen generate --thr", "--threshold")]
    [InlineData("nablagen generate --solver ", "unipc", "dpm++", "euler")]
    [InlineData("nablagen generate --attention na", "nabla-0.7")]
    [InlineData("nablagen generate --device ", "auto", "cpu", "cuda")]
    [InlineData("nablagen generate --dtype b", "bfloat16")]
    [InlineData("nablagen completion ", "bash", "zsh", "fish", "pwsh")]
    public void The_program_suggests(string line, params string[] expected)
    {
        var run = NablaGenCommand.Run([$"[suggest:{line.Length}]", line]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Subset(run.Output.Split('\n').ToHashSet(), expected.ToHashSet());
    }

    [Fact]
    public void Bash_completes_by_the_script()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "bash");
        using var folder = new TempFolder();
        // The program under a path of its own, as a user may call it.
        var program = folder["nablagen"];
        var dotnet = Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet";
        File.WriteAllText(program, $"#!/bin/sh\nexec '{dotnet}' '{Path.Combine(AppContext.BaseDirectory, "nablagen.dll")}' \"$@\"\n");
        var script = NablaGenCommand.Run(["completion", "bash"]);
        Assert.Equal(0, script.ExitCode);
        File.WriteAllText(folder["script"], script.Output + $$"""
            chmod +x "{{program}}"
            COMP_WORDS=("{{program}}" generate --dense-) COMP_CWORD=2
            COMP_LINE="${COMP_WORDS[*]}"
            COMP_POINT=${#COMP_LINE}
            _nablagen "{{program}}" --dense- generate
            printf '%s\n' "${COMPREPLY[@]}"
            complete -p nablagen
            """);
        using var bash = Process.Start(new ProcessStartInfo("bash", [folder["script"]]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = bash.StandardOutput.ReadToEnd();
        Assert.Equal("", bash.StandardError.ReadToEnd());
        Assert.Equal("--dense-layers\n--dense-steps\ncomplete -o default -F _nablagen nablagen\n", output);
    }

    [Fact]
    public void An_unknown_shell_is_wrong_usage()
    {
        var run = NablaGenCommand.Run(["completion", "tcsh"]);
        Assert.Equal((2, "nablagen: shell 'tcsh' is not known: use bash, zsh, fish, pwsh\n"), (run.ExitCode, run.Error));
    }
}
