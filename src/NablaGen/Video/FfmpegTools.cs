using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using FFMpegCore;

namespace NablaGen.Video;

/// <summary>
/// The ffmpeg of this machine: where it and ffprobe are, its version and the H.264 encoders it was built with.
/// </summary>
/// <remarks>
/// Looked for in the place that the environment variable <see cref="Variable"/> names, then on PATH, then (Windows) in winget's folder.
/// </remarks>
public sealed partial class FfmpegTools
{
    /// <summary>NABLAGEN_FFMPEG: the environment variable that names a folder with ffmpeg and ffprobe, or the ffmpeg file itself.</summary>
    public const string Variable = "NABLAGEN_FFMPEG";

    // Best first: libx264 has the best quality for its size, then the other software encoder, then hardware.
    private static readonly string[] Preference =
    [
        "libx264", "libopenh264", "h264_nvenc", "h264_amf", "h264_qsv", "h264_videotoolbox", "h264_mf", "h264_vaapi", "h264_v4l2m2m",
    ];

    // Each start of ffmpeg takes 0.1 s, and a video looks for it more than once. Another file under the same name is asked anew.
    private static readonly ConcurrentDictionary<(string Path, DateTime Written, long Length), IReadOnlyList<string>> KnownEncoders = new();

    private readonly Lazy<string> _version;
    private readonly Lazy<IReadOnlyList<string>> _h264Encoders;

    // FFMpegCore would else take its settings from any ffmpeg.config.json that lies in the current folder.
    static FfmpegTools() => GlobalFFOptions.Configure(new FFOptions());

    private FfmpegTools(string ffmpeg, string? ffprobe)
    {
        Ffmpeg = ffmpeg;
        Ffprobe = ffprobe;
        _version = new Lazy<string>(() => Run("-version").Output.Split('\n')[0].Trim());
        _h264Encoders = new Lazy<IReadOnlyList<string>>(FindEncoders);
    }

    /// <summary>Full path of ffmpeg.</summary>
    public string Ffmpeg { get; }

    /// <summary>Full path of ffprobe; null where ffmpeg came without it.</summary>
    public string? Ffprobe { get; }

    /// <summary>The first line that <c>ffmpeg -version</c> prints.</summary>
    /// <exception cref="NablaGenException">ffmpeg cannot be run.</exception>
    public string Version => _version.Value;

    /// <summary>Names of the H.264 encoders ffmpeg was built with; one for hardware may be listed and yet not work here.</summary>
    /// <exception cref="NablaGenException">ffmpeg cannot be run.</exception>
    public IReadOnlyList<string> H264Encoders => _h264Encoders.Value;

    /// <summary>How to get ffmpeg on this operating system, such as <c>sudo apt-get install ffmpeg</c>.</summary>
    public static string InstallCommand =>
        OperatingSystem.IsWindows() ? "winget install ffmpeg"
        : OperatingSystem.IsMacOS() ? "brew install ffmpeg"
        : "sudo apt-get install ffmpeg";

    /// <summary>Finds the machine's ffmpeg.</summary>
    /// <exception cref="NablaGenException">There is none; the message says how to get it.</exception>
    public static FfmpegTools Find() =>
        Find(Environment.GetEnvironmentVariable(Variable), Environment.GetEnvironmentVariable("PATH"));

    /// <summary>Finds ffmpeg in a given place, or on a search path.</summary>
    /// <param name="place">What <see cref="Variable"/> would hold: a folder with ffmpeg in it, or that file; null or blank for none.</param>
    /// <param name="searchPath">What PATH would hold; looked at where there is no <paramref name="place"/>.</param>
    /// <exception cref="NablaGenException">There is none; the message says how to get it.</exception>
    public static FfmpegTools Find(string? place, string? searchPath)
    {
        if (!string.IsNullOrWhiteSpace(place))
        {
            // FFMpegCore takes a folder and insists on the names ffmpeg and ffprobe.
            var named = Path.GetFullPath(place);
            var folder = File.Exists(named) && Path.GetFileName(named) == FileName("ffmpeg") ? Path.GetDirectoryName(named)! : named;
            return In([folder])
                ?? throw new NablaGenException($"{Variable}={place}: expected a folder with {FileName("ffmpeg")} in it, or that file itself");
        }

        var folders = (searchPath ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).ToList();
        if (OperatingSystem.IsWindows())
        {
            // winget adds this folder to PATH only for consoles opened afterwards.
            folders.Add(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "Microsoft", "WinGet", "Links"));
        }

        return In(folders)
            ?? throw new NablaGenException($"ffmpeg was not found on PATH: install it ({InstallCommand}) or let {Variable} name its folder");
    }

    /// <summary>
    /// The best H.264 encoder that works here: libx264 if ffmpeg has it, else the first of the others that encodes a trial frame.
    /// </summary>
    /// <exception cref="NablaGenException">There is none, or ffmpeg cannot be run.</exception>
    public string PickH264Encoder()
    {
        var listed = Preference.Where(H264Encoders.Contains).ToList();
        return listed.Find(encoder => encoder == "libx264" || Encodes(encoder))
            ?? throw new NablaGenException(
                $"{Ffmpeg} has no H.264 encoder that works here (libx264 is missing{(listed.Count == 0 ? "" : $"; tried {string.Join(", ", listed)}")}): "
                + $"install a full ffmpeg ({InstallCommand}) or let {Variable} name its folder");
    }

    internal static FFOptions OptionsFor(string program) => new() { BinaryFolder = Path.GetDirectoryName(program)!, Encoding = Encoding.UTF8 };

    private static FfmpegTools? In(IReadOnlyList<string> folders) =>
        FindProgram("ffmpeg", folders) is { } ffmpeg
            ? new FfmpegTools(ffmpeg, FindProgram("ffprobe", [Path.GetDirectoryName(ffmpeg)!, .. folders]))
            : null;

    private static string? FindProgram(string name, IEnumerable<string> folders) =>
        folders.Select(folder => Path.GetFullPath(Path.Combine(folder, FileName(name)))).FirstOrDefault(IsProgram);

    private static bool IsProgram(string path)
    {
        const UnixFileMode AnyExecute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        return File.Exists(path) && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(path) & AnyExecute) != 0);
    }

    private static string FileName(string program) => OperatingSystem.IsWindows() ? program + ".exe" : program;

    private IReadOnlyList<string> FindEncoders()
    {
        var file = new FileInfo(Ffmpeg);
        var key = (Ffmpeg, file.LastWriteTimeUtc, file.Exists ? file.Length : 0);
        if (!KnownEncoders.TryGetValue(key, out var found))
        {
            found = [.. EncoderLine().Matches(Run("-hide_banner", "-encoders").Output).Select(match => match.Groups[1].Value)];
            if (found.Count > 0)
            {
                KnownEncoders[key] = found;
            }
        }

        return found;
    }

    // One grey frame to nowhere; 256 x 256 because hardware encoders refuse very small ones.
    private bool Encodes(string encoder) =>
        Run("-hide_banner", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "color=gray:size=256x256:rate=16", "-frames:v", "1",
            "-pix_fmt", "yuv420p", "-c:v", encoder, "-f", "null", "-").ExitCode == 0;

    private (int ExitCode, string Output) Run(params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(Ffmpeg, arguments)
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                StandardOutputEncoding = Encoding.UTF8,
                CreateNoWindow = true,
            })!;
            process.StandardInput.Close();
            process.ErrorDataReceived += (_, _) => { };
            process.BeginErrorReadLine();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output);
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or IOException)
        {
            throw new NablaGenException($"{Ffmpeg} cannot be run: {e.Message}", e);
        }
    }

    // " V....D libx264              libx264 H.264 / AVC / MPEG-4 AVC / MPEG-4 part 10 (codec h264)"
    [GeneratedRegex(@"^ V\S{5} (\S+) .*\(codec h264\)\s*$", RegexOptions.Multiline)]
    private static partial Regex EncoderLine();
}
