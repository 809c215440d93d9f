# How much a first build downloads, asked of the package source that NuGet is set to; for windows.ps1.

# The bytes of the packages of the command that this machine does not have: Get-DownloadSize SOURCES TORCH.
function Get-DownloadSize([string]$sources, [string]$torch) {
    if (-not $torch) { $torch = 'cuda' } # as Directory.Build.props has it for Windows
    $versions = @{}
    $central = [xml](Get-Content "$sources/Directory.Packages.props" -Raw)
    $properties = $central.Project.PropertyGroup
    foreach ($package in $central.Project.ItemGroup.PackageVersion) {
        $version = $package.Version.Replace('$(TorchSharpVersion)', $properties.TorchSharpVersion).Replace('$(LibTorchVersion)', $properties.LibTorchVersion)
        $versions[$package.Include.ToLowerInvariant()] = $version.Trim('[', ']')
    }
    $wanted = New-Object 'Collections.Generic.Queue[string]'
    $names = @(Get-ChildItem "$sources/src/*/*.csproj" | Select-String 'PackageReference Include="([^"]+)"' | ForEach-Object { $_.Matches[0].Groups[1].Value })
    if ($torch -eq 'cuda') { $names += 'TorchSharp-cuda-windows' } elseif ($torch -eq 'cpu') { $names += 'libtorch-cpu-win-x64' }
    foreach ($name in $names | Sort-Object -Unique) { $wanted.Enqueue($name.ToLowerInvariant()) }

    $folder = ((& dotnet nuget locals global-packages --list) -replace '^[^:]*: *', '').Trim()
    $address = Get-PackageAddress
    $bytes = 0
    $seen = @{}
    while ($wanted.Count -gt 0) {
        $name = $wanted.Dequeue()
        $version = $versions[$name]
        if ($seen[$name] -or -not $version) { continue }
        $seen[$name] = $true
        if ([IO.Directory]::Exists("$folder/$name/$version")) {
            $specification = [xml](Get-Content "$folder/$name/$version/$name.nuspec" -Raw)
        }
        else {
            # A version that the source has not: NuGet takes the next one, which is small where a dependency alone asks for it. Some mirrors
            # serve no nuspec: what such a package needs is not counted.
            try {
                $bytes += Get-Length "$address$name/$version/$name.$version.nupkg"
                $specification = [xml](Get-Text "$address$name/$version/$name.nuspec")
            }
            catch [Net.WebException] { continue }
        }
        foreach ($dependency in Select-Dependency $specification) {
            $id = $dependency.id.ToLowerInvariant()
            if (-not $versions[$id]) { $versions[$id] = $dependency.version.Trim('[', ']', '(', ')', ' ').Split(',')[0].Trim() }
            $wanted.Enqueue($id)
        }
    }
    return $bytes
}

# What a package needs on .NET 10: the newest of its groups, or those outside a group.
function Select-Dependency([xml]$specification) {
    $dependencies = $specification.package.metadata.dependencies
    $groups = @($dependencies.group | Where-Object { $_ })
    if (-not $groups) { return $dependencies.dependency | Where-Object { $_ } }
    foreach ($pattern in '^net(10|[5-9])\.\d$', '^\.?NETCoreApp', '^\.?NETStandard', '') {
        $fitting = @($groups | Where-Object { "$($_.targetFramework)" -match $pattern } | Sort-Object { "$($_.targetFramework)" -replace '^net(\d)\.', 'net0$1.' })
        if ($fitting) { return $fitting[-1].dependency | Where-Object { $_ } }
    }
}

# Where the first package source that is on has its files.
function Get-PackageAddress {
    $source = (& dotnet nuget list source --format short | Where-Object { $_ -match '^E +https?:' } | Select-Object -First 1) -replace '^E +', ''
    $index = Get-Text $source | ConvertFrom-Json
    return ($index.resources | Where-Object { $_.'@type' -eq 'PackageBaseAddress/3.0.0' } | Select-Object -First 1).'@id'
}

function New-Request([string]$address, [string]$method) {
    [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
    $request = [Net.WebRequest]::Create($address)
    $request.Method = $method
    $request.Timeout = 10000
    return $request
}

function Get-Length([string]$address) {
    $response = (New-Request $address 'HEAD').GetResponse()
    try { return $response.ContentLength } finally { $response.Dispose() }
}

function Get-Text([string]$address) {
    $response = (New-Request $address 'GET').GetResponse()
    try { return (New-Object IO.StreamReader $response.GetResponseStream()).ReadToEnd() } finally { $response.Dispose() }
}
