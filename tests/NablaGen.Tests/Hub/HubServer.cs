using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NablaGen.Hub;

namespace NablaGen.Tests.Hub;

/// <summary>A request that a <see cref="HubServer"/> got.</summary>
internal sealed record HubRequest(string Path, long? From, long? To, string? Authorization)
{
    public bool IsOfFile => Path.Contains("/resolve/", StringComparison.Ordinal);
}

/// <summary>What a <see cref="HubServer"/> says in place of its own answer.</summary>
internal sealed record HubAnswer(int Status)
{
    public byte[] Body { get; init; } = [];

    public string[] Headers { get; init; } = [];

    /// <summary>The length that is claimed; null for the body's own, negative for none.</summary>
    public long? Length { get; init; }

    /// <summary>Bytes of the body that are sent before the connection is dropped; null for all.</summary>
    public int? Cut { get; init; }

    /// <summary>How long it is silent before the body.</summary>
    public TimeSpan Silence { get; init; }
}

/// <summary>
/// A hub on this machine, with one repository <c>own/model</c>. <see cref="Answer"/> may say anything in place of what it should.
/// </summary>
internal sealed class HubServer : IDisposable
{
    public const string Repository = "own/model";
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly List<HubRequest> _requests = [];

    public HubServer(params (string Path, byte[] Bytes)[] files)
    {
        Files = files.ToDictionary(file => file.Path, file => file.Bytes);
        Listing = () => JsonSerializer.Serialize(Files.Select(file => Entry(file.Key, file.Value)));
        _listener.Start();
        _ = Task.Run(ListenAsync);
    }

    public Dictionary<string, byte[]> Files { get; }

    public Func<string> Listing { get; set; }

    public Func<HubRequest, HubAnswer?> Answer { get; set; } = _ => null;

    public Uri Address => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/");

    public IReadOnlyList<HubRequest> Requests
    {
        get
        {
            lock (_requests)
            {
                return [.. _requests];
            }
        }
    }

    public IReadOnlyList<HubRequest> FileRequests => [.. Requests.Where(request => request.IsOfFile)];

    /// <summary>Bytes that differ everywhere.</summary>
    public static byte[] Bytes(int count, int seed = 1)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>A file's line of the listing: small ones as Git knows them, others as Git LFS does.</summary>
    public static object Entry(string path, byte[] bytes) => bytes.Length < 1000
        ? new { type = "file", path, size = bytes.Length, oid = GitHash(bytes) }
        : new { type = "file", path, size = bytes.Length, oid = GitHash("pointer"u8.ToArray()), lfs = new { oid = Convert.ToHexStringLower(SHA256.HashData(bytes)), size = bytes.Length } };

    public HubClient Client(string? token = null, HubPatience? patience = null) => new(new HubAccess(Address, token), patience ?? new HubPatience
    {
        FirstWait = TimeSpan.FromMilliseconds(1),
        Silence = TimeSpan.FromSeconds(20),
    });

    /// <summary>The bytes of a file that a request asks for.</summary>
    public byte[] Part(HubRequest request)
    {
        var bytes = Files[FileOf(request)];
        return request.From is { } from ? bytes[(int)from..(int)Math.Min(request.To!.Value + 1, bytes.Length)] : bytes;
    }

    /// <summary>The right answer.</summary>
    public HubAnswer Right(HubRequest request)
    {
        var part = Part(request);
        return request.From is { } from
            ? new HubAnswer(206) { Body = part, Headers = [$"Content-Range: bytes {from}-{from + part.Length - 1}/{Files[FileOf(request)].Length}"] }
            : new HubAnswer(200) { Body = part };
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _stop.Dispose();
    }

    private static string GitHash(byte[] bytes)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(Encoding.ASCII.GetBytes($"blob {bytes.Length}\0"));
        hash.AppendData(bytes);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string FileOf(HubRequest request) => Uri.UnescapeDataString(request.Path.Split($"/resolve/{Commit}/")[1]);

    private HubAnswer Own(HubRequest request) => request switch
    {
        { Path: $"/api/models/{Repository}/revision/main" } => new HubAnswer(200)
        {
            Body = JsonSerializer.SerializeToUtf8Bytes(new { sha = Commit, cardData = new { license = "apache-2.0" } }),
        },
        { Path: var path } when path.StartsWith($"/api/models/{Repository}/tree/{Commit}", StringComparison.Ordinal) => new HubAnswer(200) { Body = Encoding.UTF8.GetBytes(Listing()) },
        { IsOfFile: true } when Files.ContainsKey(FileOf(request)) => Right(request),
        _ => new HubAnswer(404),
    };

    private async Task ListenAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptTcpClientAsync(_stop.Token);
                _ = Task.Run(() => ServeAsync(client));
            }
            catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                using var stream = client.GetStream();
                if (await ReadAsync(stream) is not { } request)
                {
                    return;
                }

                lock (_requests)
                {
                    _requests.Add(request);
                }

                var answer = Answer(request) ?? Own(request);
                var length = answer.Length ?? answer.Body.Length;
                var head = new StringBuilder($"HTTP/1.1 {answer.Status} Said\r\nConnection: close\r\n");
                foreach (var header in length < 0 ? answer.Headers : [.. answer.Headers, $"Content-Length: {length}"])
                {
                    head.Append(header).Append("\r\n");
                }

                await stream.WriteAsync(Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()), _stop.Token);
                await Task.Delay(answer.Silence, _stop.Token);
                await stream.WriteAsync(answer.Body.AsMemory(0, Math.Min(answer.Cut ?? int.MaxValue, answer.Body.Length)), _stop.Token);
            }
            catch (Exception error) when (error is IOException or OperationCanceledException or ObjectDisposedException)
            {
                // The client has gone.
            }
        }
    }

    private static async Task<HubRequest?> ReadAsync(NetworkStream stream)
    {
        using var reader = new StreamReader(stream, Encoding.ASCII, leaveOpen: true);
        if (await reader.ReadLineAsync() is not { } first)
        {
            return null;
        }

        var (from, to, authorization) = ((long?)null, (long?)null, (string?)null);
        while (await reader.ReadLineAsync() is { Length: > 0 } line)
        {
            if (line.StartsWith("Range: bytes=", StringComparison.OrdinalIgnoreCase))
            {
                var ends = line["Range: bytes=".Length..].Split('-');
                (from, to) = (long.Parse(ends[0], CultureInfo.InvariantCulture), long.Parse(ends[1], CultureInfo.InvariantCulture));
            }
            else if (line.StartsWith("Authorization: ", StringComparison.OrdinalIgnoreCase))
            {
                authorization = line["Authorization: ".Length..];
            }
        }

        return new HubRequest(first.Split(' ')[1], from, to, authorization);
    }
}
