using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using NablaGen.Files;

namespace NablaGen.Hub;

/// <summary>
/// Sends requests to a hub and wherever it redirects to. The token goes to the hub alone. A refusal is a <see cref="NablaGenException"/> that says what
/// to do; what may pass is a <see cref="HubFault"/>.
/// </summary>
internal sealed class HubClient : IDisposable
{
    private const int MostRedirects = 8;

    private readonly HttpClient _http;
    private readonly HubAccess _access;
    private readonly ConcurrentDictionary<string, Uri> _places = new(StringComparer.Ordinal);

    /// <param name="access">Which hub, and as whom.</param>
    /// <param name="patience">How long to bear with it.</param>
    public HubClient(HubAccess access, HubPatience patience)
    {
        (_access, Patience) = (access, patience);
        // Redirects are followed here, since the handler would take headers along; a file's bytes are to come as they are.
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = patience.Silence,
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            UseCookies = false,
            UseProxy = !access.Endpoint.IsLoopback,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("nablagen", NablaGenVersion.Text));
        _http.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
    }

    /// <summary>How long it bears with the hub.</summary>
    public HubPatience Patience { get; }

    /// <summary>The hub.</summary>
    public HubAccess Access => _access;

    /// <summary>An address of the hub.</summary>
    /// <param name="path">What stands behind the hub's own, its parts escaped.</param>
    public Uri Address(string path) => new(_access.Endpoint, path);

    /// <summary>Asks for something small of the hub's, such as a listing.</summary>
    /// <param name="address">The address.</param>
    /// <param name="what">What it is, for messages: a repository's name.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <returns>The answer, whose status is 200.</returns>
    public async Task<HttpResponseMessage> GetAsync(Uri address, string what, CancellationToken cancellation)
    {
        var response = await SendAsync(address, null, cancellation).ConfigureAwait(false);
        return response.StatusCode == HttpStatusCode.OK ? response : throw FaultOf(response, what);
    }

    /// <summary>Asks for bytes of a file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="from">The first of them.</param>
    /// <param name="to">The one behind the last.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <returns>The answer: 206 with just these bytes, or 200 with all of the file where the server gives no parts.</returns>
    public async Task<HttpResponseMessage> GetAsync(HubFile file, long from, long to, CancellationToken cancellation)
    {
        var own = Address($"{file.Repository}/resolve/{file.Commit}/{string.Join('/', file.Path.Split('/').Select(Uri.EscapeDataString))}");
        var range = new RangeHeaderValue(from, to - 1);
        HttpResponseMessage response;
        if (_places.TryGetValue(own.AbsoluteUri, out var place))
        {
            // Where the hub redirected to last time; such an address is good for a while.
            response = await SendAsync(place, range, cancellation).ConfigureAwait(false);
            if (IsOfFile(response))
            {
                return Checked(response, file, from, to);
            }

            if (IsBusy(response))
            {
                throw FaultOf(response, $"{file.Repository}: {file.Path}");
            }

            response.Dispose();
            _places.TryRemove(own.AbsoluteUri, out _);
        }

        response = await SendAsync(own, range, cancellation, found => _places[own.AbsoluteUri] = found).ConfigureAwait(false);
        return IsOfFile(response)
            ? Checked(response, file, from, to)
            : throw FaultOf(response, $"{file.Repository}: {file.Path}");
    }

    /// <summary>Closes all connections.</summary>
    public void Dispose() => _http.Dispose();

    /// <summary>Runs a request again and again until it works, as long as its failures may pass.</summary>
    public async Task<T> PatientlyAsync<T>(Func<Task<T>> work, CancellationToken cancellation)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                return await work().ConfigureAwait(false);
            }
            catch (HubFault fault)
            {
                await Task.Delay(Patience.WaitAfter(fault, failures), cancellation).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Does something that waits for a connection, and takes it for dead where it is silent for too long.</summary>
    /// <param name="work">The work.</param>
    /// <param name="where">The server, for the message.</param>
    /// <param name="cancellation">Stops the work.</param>
    public async Task<T> ListeningAsync<T>(Func<CancellationToken, Task<T>> work, string where, CancellationToken cancellation)
    {
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        silence.CancelAfter(Patience.Silence);
        try
        {
            return await work(silence.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new HubFault($"{where}: nothing came for {Patience.Silence.TotalSeconds} s");
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw new HubFault($"{where}: {Line.Of(error.InnerException?.Message ?? error.Message, 300).TrimEnd('.')}", inner: error);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(Uri address, RangeHeaderValue? range, CancellationToken cancellation, Action<Uri>? onOther = null)
    {
        for (var redirects = 0; ; redirects++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            request.Headers.Range = range;
            if (_access.Token is { } token && _access.Owns(address))
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            }

            var response = await ListeningAsync(stop => _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop), address.Host, cancellation).ConfigureAwait(false);
            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308))
            {
                if (!_access.Owns(address))
                {
                    onOther?.Invoke(address);
                }

                return response;
            }

            var location = response.Headers.Location;
            response.Dispose();
            var next = location is null ? null : new Uri(address, location);
            if (redirects == MostRedirects || !HubAccess.IsWeb(next) || (address.Scheme == Uri.UriSchemeHttps && next.Scheme != Uri.UriSchemeHttps))
            {
                throw new NablaGenException(redirects == MostRedirects
                    ? $"{address.Host}: redirects more than {MostRedirects} times in a row."
                    : $"{address.Host}: redirects to {(next is null ? "nowhere" : Line.Key(next.ToString()))}, which is not followed: expected an address as safe as its own.");
            }

            address = next;
        }
    }

    // The bytes must be those that were asked for, of a file as long as the listing says.
    private static HttpResponseMessage Checked(HttpResponseMessage response, HubFile file, long from, long to)
    {
        var isPart = response.StatusCode == HttpStatusCode.PartialContent;
        var range = response.Content.Headers.ContentRange;
        var length = response.Content.Headers.ContentLength;
        var size = isPart ? range?.Length : length;
        var fault = response.StatusCode switch
        {
            HttpStatusCode.RequestedRangeNotSatisfiable => new UntrueListingException(file, $"the listing says {file.Size} bytes, and its server has fewer (416)"),
            _ when response.Content.Headers.ContentEncoding.Count > 0 => new UntrueListingException(
                file, $"its server sends it compressed ({Line.Of(string.Join(", ", response.Content.Headers.ContentEncoding), 100)}), which was not asked for"),
            _ when size is { } said && said != file.Size => new UntrueListingException(file, $"the listing says {file.Size} bytes, and its server {said}"),
            _ when isPart && (range?.From != from || range.To is not { } last || last >= to) => new HubFault(
                $"{file.Repository}: {file.Path}: bytes {from} to {to - 1} were asked for, and {(range is null ? "others" : range.ToString())} came"),
            _ => (Exception?)null,
        };
        if (fault is null)
        {
            return response;
        }

        response.Dispose();
        throw fault;
    }

    private Exception FaultOf(HttpResponseMessage response, string what)
    {
        using (response)
        {
            var (status, page) = ((int)response.StatusCode, new Uri(_access.Endpoint, what.Split(':')[0]));
            if (IsBusy(response))
            {
                return new HubFault($"{what}: {response.RequestMessage?.RequestUri?.Host} answers {status} ({Reason(response)})", RetryAfter(response));
            }

            // The hub hides what is there from who may not see it.
            return new NablaGenException(status switch
            {
                401 => _access.Token is null
                    ? $"{what}: the hub has nothing of this name for everyone (401): see that it is written right; if its page {page} asks to accept terms, do so and set {HubAccess.TokenVariable}."
                    : $"{what}: the hub does not take the token in {_access.TokenName} (401): make a new one on the hub's page of settings, or unset it.",
                403 => _access.Token is null
                    ? $"{what}: the hub refuses it (403): accept its terms at {page} and set {HubAccess.TokenVariable}."
                    : $"{what}: the token in {_access.TokenName} may not read it (403): accept its terms at {page}.",
                404 or 410 => $"{what}: is not there ({status}): see {page}.",
                _ => $"{what}: {response.RequestMessage?.RequestUri?.Host} answers {status} ({Reason(response)}).",
            });
        }
    }

    private static bool IsOfFile(HttpResponseMessage response) =>
        response.StatusCode is HttpStatusCode.OK or HttpStatusCode.PartialContent or HttpStatusCode.RequestedRangeNotSatisfiable;

    private static bool IsBusy(HttpResponseMessage response) => (int)response.StatusCode is 408 or 425 or 429 or >= 500;

    private static string Reason(HttpResponseMessage response) => Line.Of(response.ReasonPhrase is { Length: > 0 } reason ? reason : response.StatusCode.ToString(), 100);

    private static TimeSpan? RetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date - DateTimeOffset.UtcNow is var wait && wait > TimeSpan.Zero ? wait : TimeSpan.Zero,
        _ => null,
    };
}
