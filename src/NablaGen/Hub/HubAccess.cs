using System.Diagnostics.CodeAnalysis;

namespace NablaGen.Hub;

/// <summary>Which hub is asked, and as whom.</summary>
/// <param name="Endpoint">The hub's address, with a slash at its end.</param>
/// <param name="Token">The user's token; null for none.</param>
/// <param name="TokenName">The environment variable that the token is from.</param>
internal sealed record HubAccess(Uri Endpoint, string? Token = null, string TokenName = HubAccess.TokenVariable)
{
    /// <summary>The environment variable with the user's token.</summary>
    public const string TokenVariable = "HF_TOKEN";

    /// <summary>The environment variable that names another hub of the same kind.</summary>
    public const string EndpointVariable = "HF_ENDPOINT";

    private const string OldTokenVariable = "HUGGING_FACE_HUB_TOKEN";
    private const string DefaultEndpoint = "https://huggingface.co";

    /// <summary>What an environment's variables say.</summary>
    /// <param name="variable">A variable's value; null for one that is not set.</param>
    /// <exception cref="NablaGenException">The endpoint is no address, or the token can't be sent.</exception>
    public static HubAccess FromEnvironment(Func<string, string?> variable)
    {
        var address = Value(EndpointVariable) ?? DefaultEndpoint;
        if (!Uri.TryCreate(address.TrimEnd('/') + "/", UriKind.Absolute, out var endpoint) || !IsWeb(endpoint) || endpoint.UserInfo.Length > 0 || endpoint.Query.Length > 0)
        {
            throw new NablaGenException($"{EndpointVariable}: '{address}' is not a hub's address: expected something like {DefaultEndpoint}.");
        }

        var name = Value(TokenVariable) is null && Value(OldTokenVariable) is not null ? OldTokenVariable : TokenVariable;
        var token = Value(name);
        if (token?.Any(c => c is <= ' ' or > '~') == true)
        {
            throw new NablaGenException($"{name}: holds something else than a token: expected letters, digits and underscores.");
        }

        // Whoever sits between us and the hub could read it.
        return token is null || endpoint.Scheme == Uri.UriSchemeHttps || endpoint.IsLoopback
            ? new HubAccess(endpoint, token, name)
            : throw new NablaGenException($"{EndpointVariable}: {endpoint} is not encrypted, and {name} would be sent to it in the open: use https, or unset {name}.");

        string? Value(string name) => variable(name)?.Trim() is { Length: > 0 } value ? value : null;
    }

    /// <summary>Whether an address is the hub's own, so that it may see the token.</summary>
    public bool Owns(Uri address) =>
        address.Scheme == Endpoint.Scheme && address.Port == Endpoint.Port && address.IdnHost.Equals(Endpoint.IdnHost, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether an address is one of the web's.</summary>
    public static bool IsWeb([NotNullWhen(true)] Uri? address) => address is { IsAbsoluteUri: true } && (address.Scheme == Uri.UriSchemeHttps || address.Scheme == Uri.UriSchemeHttp);

    /// <summary>The hub without the token, which no log is to have.</summary>
    public override string ToString() => Endpoint.ToString();
}
