using System.CommandLine;

namespace NablaGen.Cli.Commands;

/// <summary><c>nablagen completion</c>: a script for the shell that asks the program itself, through System.CommandLine's [suggest] directive.</summary>
internal static class CompletionCommand
{
    public const string Example = "completion bash > ~/.local/share/bash-completion/completions/nablagen";

    private static readonly Dictionary<string, string> Scripts = new()
    {
        // $1 is the command as typed, maybe with a path; the program knows itself by its name. Where it has nothing to say, files.
        ["bash"] = """
            _nablagen()
            {
                local line="nablagen${COMP_LINE#"$1"}" point=$((COMP_POINT - ${#1} + 8)) word="${COMP_WORDS[COMP_CWORD]}" found
                COMPREPLY=()
                while IFS= read -r found; do
                    [[ -n $found && $found == "$word"* ]] && COMPREPLY+=("$found")
                done < <("$1" "[suggest:$point]" "$line" 2>/dev/null)
            }
            complete -o default -F _nablagen nablagen
            """,
        ["zsh"] = """
            #compdef nablagen
            _nablagen()
            {
                local line="nablagen${BUFFER#"${words[1]}"}"
                local point=$((CURSOR - ${#words[1]} + 8))
                local -a found
                found=(${(f)"$(${words[1]} "[suggest:$point]" "$line" 2>/dev/null)"})
                (( ${#found} )) && compadd -- $found || _files
            }
            compdef _nablagen nablagen
            """,
        ["fish"] = """
            function __nablagen_complete
                set -l line (commandline -cp)
                nablagen "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
            end
            complete -c nablagen -a '(__nablagen_complete)'
            """,
        ["pwsh"] = """
            Register-ArgumentCompleter -Native -CommandName nablagen -ScriptBlock {
                param($wordToComplete, $commandAst, $cursorPosition)
                nablagen "[suggest:$cursorPosition]" "$commandAst" 2>$null |
                    Where-Object { $_ -like "$wordToComplete*" } |
                    ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }
            }
            """,
    };

    public static Command Create()
    {
        var shell = new Argument<string>("SHELL") { Description = string.Join(", ", Scripts.Keys), HelpName = "SHELL" };
        shell.CompletionSources.Add([.. Scripts.Keys]);
        var command = new Command("completion", "Print a script that completes nablagen's commands and options in a shell.") { shell };
        command.SetAction((parsed, _) =>
        {
            var name = parsed.GetValue(shell)!;
            Console.Out.Write(Scripts.TryGetValue(name, out var script)
                ? script.ReplaceLineEndings("\n") + "\n"
                : throw new InvalidRequestException($"shell '{name}' is not known: use {string.Join(", ", Scripts.Keys)}"));
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }
}
